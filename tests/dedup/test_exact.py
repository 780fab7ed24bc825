from itertools import combinations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import DisjointSet

from pipeline.dedup import exact
from pipeline.dedup.pairs import Pairs
from pipeline.manifest import read_table, table_of
from pipeline.workspace import write_table


@given(st.lists(st.sampled_from("abc"), max_size=12))
def test_stars_join_just_what_is_the_same(contents):
    origins = [{"origin": f"{place}.png", "sample_id": content} for place, content in enumerate(contents)]
    found = exact.of_bytes(origins)
    joined = DisjointSet([row["origin"] for row in origins])
    for edge in found:
        joined.merge(edge["a"], edge["b"])
    for one, other in combinations(origins, 2):
        assert joined.connected(one["origin"], other["origin"]) == (one["sample_id"] == other["sample_id"])
    assert len(found) == len(contents) - len(set(contents))


def test_what_could_not_be_read_is_nobodys_twin():
    assert exact.of_bytes([{"origin": name, "sample_id": None} for name in ("a", "b")]) == []
    bad = [{"sample_id": name, "pixel_id": None, "error": "truncated: early"} for name in ("a", "b")]
    assert exact.of_pixels(bad) == []


def test_pixels_and_looks_become_rows_of_one_table(tmp_path):
    samples = [{"sample_id": name, "pixel_id": "p", "error": None} for name in ("b", "a")]
    looks = Pairs.of(["p", "q"], np.array([1]), np.array([0]), np.array([4], np.uint8)).table(exact.EDGES)
    write_table(tmp_path / "edges.parquet", pa.concat_tables([table_of(exact.of_pixels(samples), exact.EDGES), looks]))
    assert read_table(tmp_path / "edges.parquet").to_pylist() == [
        {"a": "a", "b": "b", "kind": "pixels", "distance": 0},
        {"a": "p", "b": "q", "kind": "perceptual", "distance": 4},
    ]
    assert Pairs.none().table(exact.EDGES).schema == exact.EDGES
