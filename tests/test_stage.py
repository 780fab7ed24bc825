from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from pipeline import atomic, shards
from pipeline.errors import DamagedError, GessoError
from pipeline.manifest import logical_digest
from pipeline.stage import StageStat, Tools, commit, ensure, fingerprint, name_of, requests_of
from pipeline.workspace import Workspace


class Params(BaseModel, frozen=True):
    factor: int = 2


class Stage(SimpleNamespace):
    """A stage that multiplies, and remembers what it was asked."""

    def __init__(self, **changes):
        super().__init__(
            __name__="pipeline.stages.times",
            VERSION=1,
            KEY=("sample_id", "view"),
            READS=("n",),
            ADDS=pa.schema([pa.field("times__n", pa.int64(), metadata={b"description": b"n times factor"})]),
            asked=[],
            batches=[],
        )
        self.__dict__.update(changes)

    def run(self, rows, params, tools):
        self.asked += [(row["sample_id"], row["view"]) for row in rows]
        self.batches.append(len(rows))
        return [
            {"error": "odd: thirteen"} if row["n"] == 13 else {"times__n": row["n"] * params.factor} for row in rows
        ]


def rows(*numbers, view=0):
    return [{"sample_id": f"s{n:05}", "view": view, "n": n, "unread": object()} for n in numbers]


@pytest.fixture
def tools(tmp_path):
    return Tools(Workspace.create(tmp_path / "w"))


def test_ten_more_rows_compute_ten(tools):
    stage = Stage()
    ensure(stage, rows(*range(1000)), Params(), tools)
    stage.asked.clear()
    stored = ensure(stage, rows(*range(1010)), Params(), tools)
    assert sorted(stage.asked) == [(f"s{n:05}", 0) for n in range(1000, 1010)]
    assert stored.table()["times__n"].to_pylist() == [n * 2 if n != 13 else None for n in range(1010)]
    assert [(stat.computed, stat.cached) for stat in tools.stats] == [(1000, 0), (10, 1000)]
    assert isinstance(tools.stats[0], StageStat)


CHANGES = {
    "parameter": lambda: (Stage(), Params(factor=3), ""),
    "version": lambda: (Stage(VERSION=2), Params(), ""),
    "weights": lambda: (Stage(), Params(), "other"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_decides_the_output_computes_all_again_and_the_way_back_is_free(tools, change):
    ensure(Stage(), rows(1, 2, 3), Params(), tools)
    stage, params, weights = CHANGES[change]()
    stored = ensure(stage, rows(1, 2, 3), params, tools, weights=weights)
    assert len(stage.asked) == 3
    assert stored.table()["times__n"].to_pylist() == [n * params.factor for n in (1, 2, 3)]
    back = Stage()
    assert ensure(back, rows(1, 2, 3), Params(), tools).table()["times__n"].to_pylist() == [2, 4, 6]
    assert back.asked == []


def test_a_value_that_is_read_computes_its_row_again_and_only_that(tools):
    ensure(Stage(), rows(1, 2, 3), Params(), tools)
    asked = rows(1, 2, 3)
    asked[1]["n"] = 20
    stage = Stage()
    assert ensure(stage, asked, Params(), tools).table()["times__n"].to_pylist() == [2, 40, 6]
    assert stage.asked == [("s00002", 0)]
    assert ensure(stage, rows(2), Params(), tools).table()["times__n"].to_pylist() == [4]
    assert len(stage.asked) == 1


def test_other_views_of_a_sample_are_other_rows(tools):
    stage = Stage()
    both = [*rows(1), *rows(1, view=1)]
    assert ensure(stage, both, Params(), tools).table()["view"].to_pylist() == [0, 1]
    assert len(stage.asked) == 2


@given(asked=st.lists(st.lists(st.integers(0, 20), max_size=12), max_size=4))
def test_results_come_in_the_order_of_the_request_whatever_was_asked_before(tmp_path_factory, asked):
    tools = Tools(Workspace.create(tmp_path_factory.mktemp("w")))
    seen: set[int] = set()
    for numbers in asked:
        stage = Stage()
        table = ensure(stage, rows(*numbers), Params(), tools, shard=3).table()
        assert table["sample_id"].to_pylist() == [f"s{n:05}" for n in numbers]
        assert table["times__n"].to_pylist() == [n * 2 if n != 13 else None for n in numbers]
        assert len(stage.asked) == len(set(numbers) - seen)
        seen |= set(numbers)


def test_company_in_a_request_plays_no_part(tools):
    alone = requests_of(rows(1), ("sample_id",), ("n",))
    assert requests_of(rows(1, 2, 3), ("sample_id",), ("n",))[:1] == alone
    ensure(Stage(), rows(1, 2, 3), Params(), tools)
    stage = Stage()
    ensure(stage, rows(2), Params(), tools)
    assert stage.asked == []


def test_an_error_is_a_row_and_is_not_tried_again(tools):
    stage = Stage()
    ensure(stage, rows(12, 13), Params(), tools)
    table = ensure(stage, rows(12, 13), Params(), tools).table()
    assert table["error"].to_pylist() == [None, "odd: thirteen"]
    assert len(stage.asked) == 2


class PowerError(Exception):
    """The power goes."""


def test_a_killed_stage_goes_on_to_the_same_digest(tools, tmp_path):
    class Killed(Stage):
        def run(self, rows, params, tools):
            if len(self.batches) == 3:
                raise PowerError
            return super().run(rows, params, tools)

    asked = rows(*range(50))
    killed = Killed()
    with pytest.raises(PowerError):
        ensure(killed, asked, Params(), tools, shard=8)
    resumed = Stage()
    stored = ensure(resumed, asked, Params(), tools, shard=8)
    assert not set(resumed.asked) & set(killed.asked)
    assert len(resumed.asked) + len(killed.asked) == 50

    straight = Stage()
    other = ensure(straight, asked, Params(), Tools(Workspace.create(tmp_path / "other")), shard=8)
    # the same shards, so that a model sees the same batches
    assert killed.batches + resumed.batches == straight.batches
    assert sorted(path.name for path in stored.folder.iterdir()) == sorted(path.name for path in other.folder.iterdir())
    assert logical_digest(stored.table(), stored.key) == logical_digest(other.table(), other.key)


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        ([{"times__n": 1}], "1 rows for 2"),
        ([{"times__n": 1}, {}], r"returned \[\], not \['times__n'\]"),
        ([{"times__n": 1}, {"times__n": 1, "more": 2}], r"returned \['more', 'times__n'\]"),
        ([{"times__n": 1}, {"times__n": "one"}], "no int64 as times__n"),
        ([{"times__n": 1}, {"times__n": 2**70}], "no int64 as times__n"),
    ],
)
def test_rows_columns_and_types_that_are_not_declared_are_refused(tools, made, problem):
    stage = Stage(run=lambda rows, params, tools: made)
    with pytest.raises(GessoError, match=f"stage times.*{problem}"):
        ensure(stage, rows(1, 2), Params(), tools)
    assert not list(tools.workspace.root.rglob("*.parquet"))


def test_a_shard_says_what_made_it(tools):
    stored = ensure(Stage(), rows(1), Params(), tools, weights="abc", cache=True, header={"scale": "0.5"})
    assert stored.folder.is_relative_to(tools.workspace.root / "cache" / "times")
    (path,) = stored.folder.iterdir()
    schema = pq.read_schema(path)
    assert schema.metadata == {
        b"gesso_stage": b"times",
        b"gesso_version": b"1",
        b"gesso_params": b'{"factor": 2}',
        b"gesso_weights": b"abc",
        b"gesso_scale": b"0.5",
    }
    assert schema.field("times__n").metadata == {b"description": b"n times factor"}


def test_places_lead_to_the_wanted_rows(tools):
    stage = Stage()
    ensure(stage, rows(*range(20)), Params(), tools, shard=6)
    stored = ensure(stage, rows(7, 3, 25, 7), Params(), tools, shard=6)
    found = [pq.read_table(path)["times__n"][place].as_py() for path, place in stored.places()]
    assert found == [14, 6, 50, 14]


def test_a_table_of_some_columns_and_of_no_rows(tools):
    stored = ensure(Stage(), [], Params(), tools)
    assert stored.table().column_names == ["sample_id", "view", "times__n", "error"]
    assert len(stored.table()) == 0
    assert stored.places() == []
    assert ensure(Stage(), rows(4), Params(), tools).table([]).column_names == ["sample_id", "view", "error"]


def test_progress_counts_to_the_end(tools):
    told = []
    tools.progress = lambda *told_now: told.append(told_now)
    ensure(Stage(), rows(*range(7)), Params(), tools, shard=3)
    assert told == [("times", 0, 7), ("times", 3, 7), ("times", 6, 7), ("times", 7, 7)]
    ensure(Stage(), rows(*range(7)), Params(), tools, shard=3)
    assert len(told) == 4


def test_a_stage_may_tell_how_far_it_is_within_a_shard(tools):
    class Slow(Stage):
        def run(self, rows, params, tools):
            tools.advance(1)
            return super().run(rows, params, tools)

    told = []
    tools.progress = lambda *told_now: told.append(told_now)
    ensure(Slow(), rows(*range(5)), Params(), tools, shard=3)
    assert [done for _, done, _ in told] == [0, 1, 3, 4, 5]


def test_each_shard_and_each_failure_is_logged(tools, caplog):
    caplog.set_level("INFO", logger="pipeline.stage")
    ensure(Stage(), rows(*range(11, 16)), Params(), tools, shard=3)
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert said[0] == ("WARNING", "times: picture s00013\u2026: odd: thirteen")
    assert [level for level, _ in said[1:]] == ["INFO", "INFO"]
    assert said[1][1].startswith("times: shard 1 of 2, 3 rows, ")
    assert said[2][1].startswith("times: shard 2 of 2, 2 rows, ")


def test_many_small_runs_leave_few_files_and_the_same_rows(tools):
    stage = Stage()
    for number in range(80):
        stored = ensure(stage, rows(number), Params(), tools)
        assert len(list(stored.folder.iterdir())) < shards.MANY
    assert len(stage.asked) == 80
    stored = ensure(stage, rows(*range(80)), Params(), tools)
    assert len(stage.asked) == 80
    assert stored.table()["times__n"].to_pylist() == [n * 2 if n != 13 else None for n in range(80)]


def test_a_stage_is_named_by_its_file():
    assert name_of(Stage()) == "times"
    assert len({fingerprint(Stage(), Params()), fingerprint(Stage(__name__="a.other"), Params())}) == 2


def test_the_same_rows_committed_twice_are_one_shard(tools, tmp_path):
    asked = requests_of(rows(1), ("sample_id", "view"), ("n",))
    for _ in range(2):
        commit(tmp_path / "f", Stage(), asked, [{"times__n": 2}])
    assert len(list((tmp_path / "f").iterdir())) == 1


def test_tools_read_an_original(tools):
    sample_id = tools.workspace.keep_original(b"bytes")
    assert tools.read(sample_id) == b"bytes"


def test_only_the_rows_of_a_lost_shard_are_computed_again(tools):
    stored = ensure(Stage(), rows(*range(20)), Params(), tools, shard=6)
    before = stored.table()
    damaged = sorted(stored.folder.iterdir())[1]
    damaged.write_bytes(damaged.read_bytes()[:-9])
    with pytest.raises(DamagedError) as told:
        ensure(Stage(), rows(*range(20)), Params(), tools, shard=6)
    assert told.value.field == str(damaged)
    atomic.set_aside(damaged)
    stage = Stage()
    assert ensure(stage, rows(*range(20)), Params(), tools, shard=6).table().equals(before)
    assert 2 <= len(stage.asked) <= 6
