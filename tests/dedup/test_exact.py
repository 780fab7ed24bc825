from itertools import combinations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import DisjointSet

from pipeline.dedup import exact
from pipeline.manifest import table_of


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


def test_pixels_and_looks_become_rows_of_one_table():
    samples = [{"sample_id": name, "pixel_id": "p", "error": None} for name in ("b", "a")]
    rows = pa.concat_tables([table_of(exact.of_pixels(samples), exact.EDGES), exact.of_looks([("p", "q", 4)])])
    assert rows.to_pylist() == [
        {"a": "a", "b": "b", "kind": "pixels", "distance": 0},
        {"a": "p", "b": "q", "kind": "perceptual", "distance": 4},
    ]
    assert exact.of_looks([]).schema == exact.EDGES
