import math
import subprocess
import sys
import time
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dedup import balls, hamming
from pipeline.dedup.chunks import BITS, Chunks

HASH = st.integers(0, 2**BITS - 1)
CLUSTERED = st.tuples(HASH, st.lists(st.sets(st.integers(0, 63), max_size=14), max_size=40)).map(
    lambda told: [told[0] ^ sum(1 << bit for bit in bits) for bits in told[1]]
)


def distinct(hashes):
    return np.unique(np.array(list(hashes), np.uint64))


def brute(values, limit, asked=None):
    pairs = ((a, b, int(values[a] ^ values[b]).bit_count()) for a, b in combinations(range(len(values)), 2))
    return sorted(pair for pair in pairs if pair[2] <= limit and (asked is None or asked[pair[0]] or asked[pair[1]]))


def told(batches):
    pairs = (pair for found in batches for pair in zip(*(part.tolist() for part in found), strict=True))
    return sorted((min(a, b), max(a, b), distance) for a, b, distance in pairs)


def blocked(values, limit):
    """Pairs by comparing all with all, a thousand rows at a time: for more than Python can."""
    for start in range(0, len(values), 1000):
        apart = np.bitwise_count(values[start : start + 1000, None] ^ values)
        row, column = np.nonzero(apart <= limit)
        later = row + start < column
        yield from zip(
            (row[later] + start).tolist(), column[later].tolist(), apart[row, column][later].tolist(), strict=True
        )


@given(
    CLUSTERED,
    st.integers(0, 64),
    st.integers(0, 6),
    st.sampled_from((1, 4, 64)),
    st.sampled_from((2, 8, 512)),
    st.booleans(),
    st.randoms(),
)
def test_every_pair_is_told_once_however_the_bits_are_cut(hashes, limit, agree, run, fewest, crowded, random):
    values = distinct(hashes)
    asked = np.array([random.random() < 0.4 for _ in values], np.bool_)
    cut = Chunks.of(limit, min(agree, BITS - limit) if math.comb(limit + agree, agree) < 100 else 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hamming, "_RUN", run)
        patch.setattr(hamming, "longest_run", lambda count, bits: 0.0)
        patch.setattr(hamming, "_WHOLE", run)
        patch.setattr(hamming, "_PART", run)
        patch.setattr(hamming, "_HANDED", run)
        patch.setattr(balls, "FEWEST", fewest)
        patch.setattr(Chunks, "cheapest", lambda count, few, limit: cut)
        patch.setattr(Chunks, "costs_more_than_all", lambda self, count, pairs: crowded)
        assert told(hamming.near(values, limit, threads=1)) == brute(values, limit)
        assert told(hamming.near(values, limit, asked=asked, threads=1)) == brute(values, limit, asked)


def of_clusters(count, *, flips, centres, seed=0):
    rng = np.random.default_rng(seed)
    hashes = rng.choice(rng.integers(0, 2**64, centres, np.uint64), count)
    for _ in range(flips):
        hashes ^= np.uint64(1) << rng.integers(0, 64, count).astype(np.uint64)
    return np.unique(np.concatenate([hashes, rng.integers(0, 2**64, 2 * count, np.uint64)]))


@pytest.mark.parametrize(("flips", "centres"), [(2, 1), (4, 1), (5, 40)])
@pytest.mark.parametrize("limit", [3, 8])
def test_clusters_among_random_ones_with_the_cut_that_is_cheapest(flips, centres, limit):
    values = of_clusters(600, flips=flips, centres=centres)
    assert told(hamming.near(values, limit)) == sorted(blocked(values, limit))
    asked = np.arange(len(values)) % 97 == 0
    wanted = sorted(pair for pair in blocked(values, limit) if asked[pair[0]] or asked[pair[1]])
    assert told(hamming.near(values, limit, asked=asked)) == wanted


@pytest.mark.parametrize(("flips", "centres"), [(4, 1), (7, 1), (4, 3)])
@pytest.mark.parametrize("share", [1, 97])
def test_dense_clusters_that_are_taken_out(flips, centres, share):
    values = of_clusters(1000, flips=flips, centres=centres)
    asked = np.arange(len(values)) % share == 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(balls, "FEWEST", 50)
        patch.setattr(Chunks, "cheapest", lambda count, few, limit: Chunks.of(limit, 3))
        taken = []
        whole = hamming._Search._whole
        patch.setattr(hamming._Search, "_whole", lambda self, ball: taken.append(ball) or whole(self, ball))
        found = told(hamming.near(values, 8, asked=asked))
    assert len(taken) == centres
    assert found == sorted(pair for pair in blocked(values, 8) if asked[pair[0]] or asked[pair[1]])


def skewed(count):
    """Hashes as drawn shapes have them: few bits are free."""
    rng = np.random.default_rng(3)
    free = np.uint64(sum(1 << int(bit) for bit in rng.permutation(64)[:26]))
    return np.unique(rng.integers(0, 2**64, count, np.uint64) & free)


def test_skewed_hashes_are_all_held_against_all_where_that_costs_less():
    values = skewed(6000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hamming._Search, "_look", lambda *_: pytest.fail("chunk by chunk"))
        batches = list(hamming.near(values, 8))
    assert told(batches) == sorted(blocked(values, 8))
    random = np.unique(np.random.default_rng(4).integers(0, 2**64, 30_000, np.uint64))
    assert not hamming._Search(random, 8, None, Chunks.cheapest(30_000, 30_000, 8))._crowded(random)


def test_pairs_are_handed_over_by_thousands():
    values = skewed(6000)
    sizes = [len(one.first) for one in hamming.near(values, 9)]
    tasks = hamming._Search(values, 9, None, Chunks.cheapest(len(values), len(values), 9)).tasks()
    assert sum(sizes) > 10 * hamming._HANDED
    # what a task has left at its end may be fewer
    assert sum(size < hamming._HANDED for size in sizes) <= len(tasks)
    assert max(sizes) < hamming._HANDED + hamming._ROWS * hamming._COLUMNS


def test_few_that_are_asked_for_among_many_are_not_all_held_against_all():
    values = np.unique(np.random.default_rng(4).integers(0, 2**64, 100_000, np.uint64))
    asked = np.zeros(len(values), np.bool_)
    asked[[5, 70_000]] = True
    began = time.process_time()
    found = told(hamming.near(values, 17, asked=asked))
    assert time.process_time() - began < 1  # all with all takes more than ten seconds
    distances = np.bitwise_count(values[[5, 70_000], None] ^ values)
    assert len(found) == int((distances <= 17).sum()) - 2 > 0


def test_hashes_that_agree_in_half_of_their_bits():
    rng = np.random.default_rng(3)
    skewed = rng.integers(0, 2**32, 3000, np.uint64) | np.uint64(0xABCD << 48)
    values = np.unique(np.concatenate([skewed, rng.integers(0, 2**64, 3000, np.uint64)]))
    assert told(hamming.near(values, 8)) == sorted(blocked(values, 8))


@pytest.mark.parametrize("limit", [0, 8, 63, 64])
def test_nothing_and_one_have_no_pairs(limit):
    assert list(hamming.near(distinct([]), limit)) == []
    assert list(hamming.near(distinct([7]), limit)) == []
    assert list(hamming.near(distinct([7, 8]), -1)) == []
    assert list(hamming.near(distinct([7, 8]), limit, asked=np.zeros(2, np.bool_))) == []
    assert told(hamming.near(distinct([0, 2**64 - 1]), limit)) == ([(0, 1, 64)] if limit == 64 else [])


def test_pairs_of_a_cluster_are_handed_over_and_not_held():
    """Some 11 million pairs, which at 9 bytes each would be 100 MB."""
    script = (
        "import resource, sys, numpy as np\n"
        "from pipeline.dedup import hamming\n"
        "rng = np.random.default_rng(0)\n"
        "bits = [np.uint64(1) << rng.integers(0, 64, 5000).astype(np.uint64) for _ in range(3)]\n"
        "values = np.unique(bits[0] ^ bits[1] ^ bits[2])\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "pairs = sum(len(found.distance) for found in hamming.near(values, 8))\n"
        "print(pairs == len(values) * (len(values) - 1) // 2, pairs > 10**7)\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
    )
    complete, grew = done.stdout.splitlines()
    assert complete == "True True"
    assert int(grew) < 80
