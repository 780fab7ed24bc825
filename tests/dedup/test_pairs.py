import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dedup import exact
from pipeline.dedup.pairs import Pairs

NAMES = [f"p{place}" for place in range(6)]
PLACES = st.integers(0, len(NAMES) - 1)


def made(told):
    """Pairs of (place, place, distance) as they are told."""
    one, other, distance = (np.array([pair[at] for pair in told], np.int32) for at in range(3))
    return Pairs.of(NAMES, one, other, distance.astype(np.uint8))


TOLD = st.dictionaries(
    st.tuples(PLACES, PLACES).filter(lambda pair: pair[0] < pair[1]), st.integers(0, 12), max_size=15
).map(lambda found: [(*pair, distance) for pair, distance in found.items()])


@given(TOLD, st.randoms())
def test_each_pair_is_there_once_in_order_whichever_side_tells_it(told, random):
    again = [(b, a, distance) for a, b, distance in told if random.random() < 0.5]
    shuffled = [*told, *again]
    random.shuffle(shuffled)
    assert list(made(shuffled)) == [(NAMES[a], NAMES[b], distance) for a, b, distance in sorted(told)]
    assert len(made(shuffled)) == len(told)


@given(TOLD)
def test_as_a_table_they_say_the_same(told):
    rows = made(told).table(exact.EDGES).to_pylist()
    assert [(row["a"], row["b"], row["distance"]) for row in rows] == list(made(told))
    assert {row["kind"] for row in rows} <= {"perceptual"}


def test_a_table_of_many_pairs_does_not_spell_out_their_names():
    names = [f"{place:064x}" for place in range(300)]
    one, other = np.triu_indices(300, 1)
    many = Pairs.of(names, one.astype(np.int32), other.astype(np.int32), np.zeros(len(one), np.uint8))
    assert many.table(exact.EDGES).nbytes < 20 * len(many)


def test_a_cup_in_another_colour_is_no_neighbour():
    def colours(red, green, blue):
        return sum(value // 8 << 5 * place for place, value in enumerate((red, green, blue) * 4))

    seen = {"p0": colours(200, 40, 40), "p1": colours(208, 40, 40), "p2": colours(40, 40, 200)}
    pairs = Pairs.of(list(seen), np.array([0, 2]), np.array([1, 0]), np.array([2, 0], np.uint8))
    assert list(pairs.of_like_colours(seen, limit=24)) == [("p0", "p1", 2)]
    assert list(pairs.of_like_colours(seen, limit=255)) == list(pairs)
    assert list(Pairs.none(["p0"]).of_like_colours(seen, limit=24)) == []
