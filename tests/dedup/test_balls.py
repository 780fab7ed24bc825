import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dedup import balls


def clusters(seed, count):
    """Hashes about some centres, each with up to eight other bits."""
    rng = np.random.default_rng(seed)
    values = rng.choice(rng.integers(0, 2**64, 3, np.uint64), count)
    for _ in range(8):
        flipped = np.uint64(1) << rng.integers(0, 64, count).astype(np.uint64)
        values ^= np.where(rng.random(count) < 0.4, flipped, np.uint64(0))
    return np.unique(values)


@given(st.integers(0, 2**32), st.integers(0, 90), st.integers(0, 12), st.integers(2, 10))
def test_what_is_close_to_a_member_is_in_the_ball_or_beside_it(seed, count, limit, fewest):
    values = clusters(seed, count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(balls, "FEWEST", fewest)
        found, left = balls.peeled(values, limit, [values])
    inside = [set(ball.inside.tolist()) for ball in found]
    gone = set().union(*inside)
    assert sum(map(len, inside)) == len(gone)
    assert gone == set(np.flatnonzero(~left).tolist())
    earlier: set[int] = set()
    for ball in found:
        assert len(ball.inside) >= fewest
        reached = {*ball.inside.tolist(), *ball.beside.tolist()}
        assert not reached & earlier
        for one in ball.inside.tolist():
            close = set(np.flatnonzero(np.bitwise_count(values ^ values[one]) <= limit).tolist())
            assert close - earlier <= reached
        earlier |= set(ball.inside.tolist())


def test_a_cluster_is_found_whole_and_random_hashes_make_none():
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**64, 20_000, np.uint64)
    assert balls.peeled(np.unique(values), 8, [np.unique(values)])[0] == []
    values[:2000] = values[0]
    for _ in range(4):
        values[:2000] ^= np.uint64(1) << rng.integers(0, 64, 2000).astype(np.uint64)
    centre, values = values[:2000], np.unique(values)
    (ball,), _ = balls.peeled(values, 8, [centre[:600]])
    assert set(values[ball.inside].tolist()) == set(centre.tolist())
    assert len(ball.beside) < 20


def test_two_clusters_in_one_run_are_two_balls():
    rng = np.random.default_rng(1)
    centres = np.array([0x0123456789ABCDEF, 0xFEDCBA9876543210], np.uint64)
    values = np.repeat(centres, 1000)
    for _ in range(3):
        values ^= np.uint64(1) << rng.integers(0, 64, 2000).astype(np.uint64)
    found, left = balls.peeled(np.unique(values), 8, [np.unique(values)])
    assert len(found) == 2
    assert not left.any()
