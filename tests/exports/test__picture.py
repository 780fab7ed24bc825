import json

from pipeline.exports._picture import by_split, in_lots, metadata


def test_metadata_is_plain_and_tells_nothing_of_this_machine(made):
    pictures, _ = made
    for one in pictures:
        told = metadata(one)
        assert all(value is None or isinstance(value, str | int) for value in told.values())
        assert "secret" not in json.dumps(told)
    assert {tuple(metadata(one)) for one in pictures} == {tuple(metadata(pictures[0]))}


def test_splits_are_whole_and_ordered(made):
    pictures, _ = made
    found = dict(by_split(reversed(pictures)))
    assert {split: len(some) for split, some in found.items()} == {"prior": 1, "train": 3, "validation": 2}
    assert dict(by_split(pictures)) == found


def test_lots_hold_everything_in_order(made):
    pictures, _ = made
    for most in (1, 900, 1000, 10**9):
        lots = list(in_lots(pictures, most))
        assert [one for lot in lots for one in lot] == pictures
        assert all(sum(900 for _ in lot[:-1]) < most for lot in lots)
