import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import DiskError
from pipeline.manifest import by, digest, join, logical_digest, read_table, table_of
from pipeline.workspace import write_table

rows_of_samples = st.lists(
    st.fixed_dictionaries({"n": st.integers(-9, 9), "text": st.none() | st.text(max_size=3)}), max_size=8
)


def test_a_digest_depends_on_the_value_and_not_on_how_it_was_built():
    assert digest({"a": 1, "b": [True, None, "ü"]}) == digest({"b": [True, None, "ü"], "a": 1})
    parts = [1, 1.5, "1", None, [1], {"1": 1}, True, "", [], {}, "\udcff", ["a", "b"], ["ab"]]
    assert len({digest(part) for part in parts}) == len(parts)


def test_a_digest_refuses_what_is_no_json():
    with pytest.raises(TypeError):
        digest({"a": object()})


@given(rows=rows_of_samples, seed=st.randoms())
def test_a_logical_digest_knows_no_order(rows, seed):
    rows = [{"id": place, **row} for place, row in enumerate(rows)]
    schema = pa.schema([("id", pa.int64()), ("n", pa.int64()), ("text", pa.string())])
    table = table_of(rows, schema)
    seed.shuffle(rows)
    shuffled = table_of(rows, schema).select(["text", "id", "n"])
    assert logical_digest(shuffled, ["id"]) == logical_digest(table, ["id"])
    if rows:
        rows[0] = {**rows[0], "n": 10}
        assert logical_digest(table_of(rows, schema), ["id"]) != logical_digest(table, ["id"])


def test_a_logical_digest_leaves_out_what_it_is_told_to():
    first = pa.table({"id": ["a"], "n": [math.pi], "seconds": [1.0]})
    second = pa.table({"id": ["a"], "n": [math.pi], "seconds": [2.0]})
    assert logical_digest(first, ["id"]) != logical_digest(second, ["id"])
    assert logical_digest(first, ["id"], leave_out=["seconds"]) == logical_digest(second, ["id"], leave_out=["seconds"])


def test_by_wants_a_key():
    assert by([{"a": 1, "b": 2}], "a") == {1: {"a": 1, "b": 2}}
    with pytest.raises(ValueError, match="a is not a key: 2 rows, 1 values"):
        by([{"a": 1}, {"a": 1}], "a")


ids = st.lists(st.sampled_from("abcdefgh") | st.none(), max_size=8)


@given(left=ids, right=st.lists(st.sampled_from("abcdefgh"), max_size=8, unique=True), seed=st.randoms())
def test_join_is_by_key_and_keeps_the_left_order(left, right, seed):
    a = pa.table({"sample_id": pa.array(left, pa.string()), "mine": pa.array(range(len(left)), pa.int64())})
    b = pa.table(
        {"sample_id": pa.array(right, pa.string()), "theirs": pa.array([one * 2 for one in right], pa.string())}
    )
    found = join(a, b)
    assert found.column_names == ["sample_id", "mine", "theirs"]
    assert found.schema.field("theirs").type == pa.string()
    assert found.to_pylist() == [
        {"sample_id": one, "mine": place, "theirs": one * 2 if one in right else None} for place, one in enumerate(left)
    ]


def test_join_never_matches_what_has_no_key():
    a = pa.table({"sample_id": pa.array([None, "a"], pa.string())})
    b = pa.table({"sample_id": pa.array([None, "a"], pa.string()), "n": [1, 2]})
    assert join(a, b)["n"].to_pylist() == [None, 2]


def test_join_keeps_the_left_column_of_two_of_one_name():
    a = pa.table({"sample_id": ["a"], "n": [1]})
    assert join(a, pa.table({"sample_id": ["a"], "n": [2]})).to_pylist() == [{"sample_id": "a", "n": 1}]


def test_join_over_several_chunks():
    a = pa.concat_tables([pa.table({"sample_id": [one]}) for one in "abc"])
    b = pa.concat_tables([pa.table({"sample_id": [one], "n": [place]}) for place, one in enumerate("cab")])
    assert join(a, b)["n"].to_pylist() == [1, 2, 0]


def test_table_of_fills_with_null_and_refuses_extras():
    schema = pa.schema([("a", pa.int32()), ("b", pa.string())])
    assert table_of([{"a": 1}], schema).to_pylist() == [{"a": 1, "b": None}]
    assert table_of([], schema).schema == schema
    with pytest.raises(ValueError, match=r"does not have: \['c'\]"):
        table_of([{"a": 1}, {"c": 1}], schema)


def test_files_are_read_one_after_the_other(tmp_path):
    whole = pa.table({"id": range(7), "text": list("abcdefg")})
    paths = [tmp_path / "b", tmp_path / "a"]
    pq.write_table(whole.slice(0, 4).replace_schema_metadata({"made": "before"}), paths[0], row_group_size=2)
    pq.write_table(whole.slice(4), paths[1])
    assert read_table(*paths).equals(whole)
    assert read_table(*paths, columns=["text"]).equals(whole.select(["text"]))
    with pytest.raises(KeyError, match="another"):
        read_table(*paths, columns=["text", "another"])


@pytest.mark.parametrize("at", [0.1, 0.5, 0.9])
def test_a_flipped_bit_or_a_missing_end_is_noticed_and_the_file_named(tmp_path, at):
    path = tmp_path / "t.parquet"
    write_table(path, pa.table({"a": np.random.default_rng(1).integers(0, 2**60, 5000)}))
    data = path.read_bytes()
    place = int(at * len(data))
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    with pytest.raises(DiskError, match=r"t\.parquet: this file is damaged .*Delete it"):
        read_table(path)
    path.write_bytes(data[:place])
    with pytest.raises(DiskError, match=r"t\.parquet: this file is damaged"):
        read_table(path)


def test_a_file_that_is_not_there_is_no_damage(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "t.parquet")
