import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import shards
from pipeline.workspace import write_table

KEY = ("sample_id",)


def put(folder, name, numbers, *, made_by="1"):
    """A shard of rows named by numbers; a row's value is its number."""
    schema = pa.schema(
        [("sample_id", pa.string()), ("inputs", pa.string()), ("times__n", pa.int64())], metadata={"made_by": made_by}
    )
    rows = [{"sample_id": f"s{n}", "inputs": "i", "times__n": n} for n in numbers]
    write_table(folder / f"{name}.parquet", pa.Table.from_pylist(rows, schema=schema))


def held(folder):
    """Each row's value by its identity, as a reader has it."""
    table = shards.read(folder, ["sample_id", "inputs", "times__n"])
    return dict(zip(shards.identities(table, KEY), table["times__n"].to_pylist(), strict=True))


def test_a_folder_that_is_not_there_holds_nothing(tmp_path):
    assert shards.requests(tmp_path / "nowhere", KEY) == set()
    assert shards.places(tmp_path / "nowhere", KEY) == {}
    assert shards.read(tmp_path / "nowhere", ["inputs"]).num_columns == 0
    assert shards.compact(tmp_path / "nowhere") == 0


def test_few_shards_and_large_ones_stay(tmp_path, monkeypatch):
    for number in range(shards.MANY - 1):
        put(tmp_path, f"few{number}", [number])
    assert shards.compact(tmp_path) == 0
    monkeypatch.setattr(shards, "SMALL_BYTES", 100)
    put(tmp_path, "one-more", [99])
    assert shards.compact(tmp_path) == 0
    assert len(list(tmp_path.iterdir())) == shards.MANY


@given(st.lists(st.lists(st.integers(0, 20), unique=True, max_size=4), min_size=1, max_size=12))
def test_merging_keeps_every_row_once(tmp_path_factory, parts):
    folder = tmp_path_factory.mktemp("shards")
    for place, numbers in enumerate(parts):
        put(folder, f"{place:02}", numbers)
    before = held(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "MANY", 2)
        shards.compact(folder)
    assert held(folder) == before
    assert shards.requests(folder, KEY) == set(before)
    assert len(list(folder.iterdir())) == 1
    if len(parts) > 1:
        assert len(shards.read(folder, ["inputs"])) == len(before)
    for request, (path, place) in shards.places(folder, KEY).items():
        assert pq.read_table(path)["times__n"][place].as_py() == before[request]


def test_many_are_merged_in_lots_of_which_each_fits_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "MANY", 2)
    for number in range(10):
        put(tmp_path, str(number), [number])
    before = held(tmp_path)
    monkeypatch.setattr(shards, "LOT_BYTES", 3 * (tmp_path / "0.parquet").stat().st_size)
    assert shards.compact(tmp_path) == 9
    assert sorted(len(pq.read_table(path)) for path in tmp_path.iterdir()) == [1, 3, 3, 3]
    assert held(tmp_path) == before


def test_shards_that_were_made_in_other_ways_are_not_mixed(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "MANY", 3)
    for number in range(8):
        put(tmp_path, str(number), [number], made_by=str(number % 2))
    put(tmp_path, "alone", [8], made_by="2")
    assert shards.compact(tmp_path) == 8
    told = {pq.read_schema(path).metadata[b"made_by"]: pq.read_table(path) for path in tmp_path.iterdir()}
    assert {made_by: sorted(table["times__n"].to_pylist()) for made_by, table in told.items()} == {
        b"0": [0, 2, 4, 6],
        b"1": [1, 3, 5, 7],
        b"2": [8],
    }


class PowerError(Exception):
    """The power goes."""


@pytest.mark.parametrize("removed", [None, 0, 3])
def test_killed_at_any_moment_no_row_is_lost_and_none_is_there_twice_in_the_end(tmp_path, monkeypatch, removed):
    monkeypatch.setattr(shards, "MANY", 4)
    for number in range(6):
        put(tmp_path, str(number), [number, number + 1])
    before = held(tmp_path)

    def dies(*_):
        raise PowerError

    left = []
    with monkeypatch.context() as patch:
        if removed is None:
            patch.setattr(shards, "write_table", dies)
        else:
            real = type(tmp_path).unlink
            patch.setattr(
                type(tmp_path), "unlink", lambda path: dies() if len(left) == removed else left.append(real(path))
            )
        with pytest.raises(PowerError):
            shards.compact(tmp_path)
    assert held(tmp_path) == before
    shards.compact(tmp_path)
    assert held(tmp_path) == before
    monkeypatch.setattr(shards, "MANY", 2)
    shards.compact(tmp_path)
    assert held(tmp_path) == before
    assert len(shards.read(tmp_path, ["inputs"])) == len(before)


def test_a_reader_whose_listed_files_are_merged_looks_again(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "MANY", 2)
    for number in range(3):
        put(tmp_path, str(number), [number])
    for reads in (lambda: shards.requests(tmp_path, KEY), lambda: shards.places(tmp_path, KEY)):
        stale = sorted(tmp_path.glob("*.parquet"))
        real, listed = shards._paths, [stale]
        with monkeypatch.context() as patch:
            patch.setattr(shards, "_paths", lambda folder: listed.pop() if listed else real(folder))  # noqa: B023
            put(tmp_path, "more", [3])
            shards_before = len(list(tmp_path.iterdir()))
            with monkeypatch.context() as unpatched:
                unpatched.setattr(shards, "_paths", real)
                assert shards.compact(tmp_path) == shards_before
            assert {request[0] for request in reads()} == {"s0", "s1", "s2", "s3"}
        assert not listed


def test_a_file_that_is_really_gone_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "_paths", lambda folder: [folder / "gone.parquet"])
    with pytest.raises(FileNotFoundError):
        shards.requests(tmp_path, KEY)
