import functools
from itertools import combinations

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import stage
from pipeline.dedup import edges, hamming
from pipeline.manifest import logical_digest
from pipeline.stage import Tools
from pipeline.workspace import Workspace

FINGERPRINT = "hash-1"


@pytest.fixture
def tools(tmp_path):
    return Tools(Workspace.create(tmp_path / "w"))


@pytest.fixture
def compared(monkeypatch):
    """For each comparison how many distinct hashes were held against how many."""
    counts, real = [], hamming.near

    def count(values, limit, *, asked, threads):
        counts.append((int(asked.sum()), len(values)))
        return real(values, limit, asked=asked, threads=threads)

    monkeypatch.setattr(hamming, "near", count)
    return counts


def ensure(nodes, tools, fingerprint=FINGERPRINT):
    found = edges.ensure(nodes, tools, hash_fingerprint=fingerprint)
    assert list(found) == sorted(found)
    return list(found)


def naive(nodes):
    pairs = ((a, b, (nodes[a] ^ nodes[b]).bit_count()) for a, b in combinations(sorted(nodes), 2))
    return sorted(pair for pair in pairs if pair[2] <= edges.REACH)


def stored(tools):
    (folder,) = (tools.workspace.root / "tables" / "edges").iterdir()
    return pq.read_table(folder)


def family(count, seed=0):
    """Hashes in clusters, the extreme ones among them."""
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 2**64, size=max(1, count // 5), dtype=np.uint64)
    hashes = [0, 2**64 - 1]
    while len(hashes) < count:
        flips = rng.integers(0, 64, size=rng.integers(0, 8))
        value = int(rng.choice(centres))
        for bit in flips.tolist():
            value ^= 1 << bit
        hashes.append(value)
    return {f"p{place:04}": value for place, value in enumerate(hashes[:count])}


@given(
    centre=st.integers(0, 2**64 - 1),
    flips=st.lists(st.sets(st.integers(0, 63), max_size=16), max_size=12),
    cuts=st.lists(st.integers(0, 12), max_size=3),
)
def test_growing_finds_what_a_comparison_of_all_finds(tmp_path_factory, centre, flips, cuts):
    nodes = {f"p{place}": centre ^ sum(1 << bit for bit in bits) for place, bits in enumerate(flips)}
    tools = Tools(Workspace.create(tmp_path_factory.mktemp("w")))
    for cut in sorted(cuts):
        ensure(dict(list(nodes.items())[:cut]), tools)
    assert ensure(nodes, tools) == naive(nodes)


def test_only_what_is_new_is_compared_and_each_pair_once(tools, compared):
    nodes = family(1010)
    ensure(dict(list(nodes.items())[:1000]), tools)
    compared.clear()
    assert ensure(nodes, tools) == naive(nodes)
    assert compared == [(10, len(set(nodes.values())))]
    compared.clear()
    assert ensure(nodes, tools) == naive(nodes)
    assert sum(asked for asked, _ in compared) == 0
    assert [(stat.computed, stat.cached) for stat in tools.stats] == [(1000, 0), (10, 1000), (0, 1010)]
    assert len(stored(tools)) == 1010


def test_what_was_not_asked_for_is_not_told(tools):
    nodes = {"a": 0, "b": 1, "c": 3}
    assert ensure(nodes, tools) == [("a", "b", 1), ("a", "c", 2), ("b", "c", 1)]
    assert ensure({"a": 0, "c": 3}, tools) == [("a", "c", 2)]
    assert ensure({}, tools) == []


def test_those_within_a_distance(tools):
    nodes = family(300)
    everything = ensure(nodes, tools)
    assert {distance for *_, distance in everything} >= {edges.NEAR, edges.NEAR + 1, edges.REACH}
    for limit in range(-1, edges.REACH + 1):
        found = list(edges.ensure(nodes, tools, hash_fingerprint=FINGERPRINT, within=limit))
        assert found == [pair for pair in everything if pair[2] <= limit]


def test_reach_is_included_and_no_more(tools):
    nodes = {"a": 0, "b": 2**12 - 1, "c": (2**13 - 1) << 40}
    assert ensure(nodes, tools) == [("a", "b", 12)]


def test_hashes_of_another_kind_are_compared_anew(tools, compared):
    ensure({"a": 0, "b": 1}, tools)
    assert ensure({"a": 0, "b": 2**20 - 1}, tools, fingerprint="hash-2") == []
    assert len(compared) == 2


def test_a_stopped_comparison_goes_on_to_the_same_digest(tools, tmp_path, monkeypatch):
    monkeypatch.setattr(edges, "cut", functools.partial(stage.cut, shard=16))
    nodes, real = family(100), edges.commit

    def stop(folder, *rest):
        if len(list(folder.glob("*.parquet"))) == 3:
            raise KeyboardInterrupt
        real(folder, *rest)

    monkeypatch.setattr(edges, "commit", stop)
    with pytest.raises(KeyboardInterrupt):
        ensure(nodes, tools)
    monkeypatch.setattr(edges, "commit", real)
    assert ensure(nodes, tools) == naive(nodes)
    assert [stat.computed for stat in tools.stats] == [100 - 3 * 16]
    other = Tools(Workspace.create(tmp_path / "other"))
    ensure(nodes, other)
    assert logical_digest(stored(tools), edges.KEY) == logical_digest(stored(other), edges.KEY)


def test_each_pair_is_told_once_after_a_shard_was_lost(tools, monkeypatch):
    monkeypatch.setattr(edges, "cut", functools.partial(stage.cut, shard=16))
    nodes = family(100)
    ensure(nodes, tools)
    for path in sorted((tools.workspace.root / "tables" / "edges").rglob("*.parquet"))[::3]:
        path.unlink()
    assert ensure(nodes, tools) == naive(nodes)


def test_nothing_to_compare(tools):
    assert ensure({}, tools) == []
    assert ensure({"a": 5}, tools) == []
