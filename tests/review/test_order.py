import pytest

from pipeline.review.order import Wanted, assigned, ordered
from pipeline.review.rows import ReviewRow


def row(number, **said):
    told = {
        "sample_id": f"s{number}", "pixel_id": f"p{number}", "origin": f"cats/{number}.jpg", "split": "train",
        "flags": (), "proposed": "a cat", "source": "blip", "caption": "a cat", "decided": False,
    }  # fmt: skip
    return ReviewRow(**told | said)


def test_worst_fit_first_then_flagged_then_a_sample():
    rows = [row(n, fit=20.0 + n) for n in range(20)]
    rows += [row(20, flags=("no caption",)), row(21, fit=99.0, flags=("very short",))]
    rows += [row(22, fit=20.0, decided=True)]
    names = [int(one.sample_id[1:]) for one in ordered(rows)]
    assert names[:7] == [20, 0, 1, 2, 3, 21, names[6]]
    assert names[-1] == 22
    assert sorted(names[6:-1]) == list(range(4, 20)) != names[6:-1]


def test_more_flags_come_first_where_no_fit_was_measured():
    rows = [row(0), row(1, flags=("a",)), row(2, flags=("a", "b"))]
    assert [one.sample_id for one in ordered(rows)] == ["s2", "s1", "s0"]


def test_the_sample_is_fair_and_stays():
    rows = [row(n) for n in range(2000)]
    first = ordered(rows)[:200]
    assert ordered(rows[::-1])[:200] == first
    assert sum(int(one.sample_id[1:]) < 1000 for one in first) == pytest.approx(100, abs=30)
    fewer = [one for one in first if int(one.sample_id[1:]) < 1000]
    assert ordered(rows[:1000])[: len(fewer)] == fewer


def test_filters():
    rows = [row(0, flags=("a",)), row(1, caption="A Dog"), row(2, decided=True), row(3, origin="Dogs/3.jpg")]
    assert Wanted().of(rows) == rows
    assert Wanted(flags=("a", "b")).of(rows) == rows[:1]
    assert Wanted(undecided=True).of(rows) == [*rows[:2], rows[3]]
    assert Wanted(search="dog").of(rows) == [rows[1], rows[3]]
    assert Wanted(search="dog", limit=1).of(rows) == [rows[1]]
    assert Wanted(sample_ids={"s3", "s0"}).of(rows) == [rows[0], rows[3]]
    assert Wanted(sample_ids=()).of(rows) == []


def test_batches_cover_all_and_overlap_as_asked():
    rows = [row(n) for n in range(3000)]
    batches = assigned(rows, ["anna", "bo", "cy"], overlap=0.1)
    sets = {who: {one.sample_id for one in some} for who, some in batches.items()}
    both = sets["anna"] & sets["bo"]
    assert sets["anna"] | sets["bo"] | sets["cy"] == {one.sample_id for one in rows}
    assert both == sets["bo"] & sets["cy"]
    assert len(both) == pytest.approx(300, abs=70)
    assert all(len(some) == pytest.approx(1200, abs=120) for some in sets.values())
    assert assigned(rows[:100], ["anna", "bo", "cy"], overlap=0.1)["bo"] == [
        one for one in batches["bo"] if int(one.sample_id[1:]) < 100
    ]


def test_batches_without_overlap_share_nothing():
    batches = assigned([row(n) for n in range(100)], ["anna", "bo"], overlap=0)
    assert sum(map(len, batches.values())) == 100
    assert [len(some) for some in assigned([row(0)], ["anna", "bo"], overlap=1).values()] == [1, 1]
