import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from pipeline import diversity


def units(rows):
    rows = np.asarray(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def around(center, count, spread, seed=0):
    noise = np.random.default_rng(seed).normal(0, spread, (count, len(center)))
    return units(np.asarray(center) + noise)


def reference(vectors):
    """The definition, word for word: entropy of the eigenvalues of K / n."""
    kernel = np.asarray(vectors, np.float64) @ np.asarray(vectors, np.float64).T
    return np.exp(entropy(np.clip(np.linalg.eigvalsh(kernel / len(kernel)), 0, None)))


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), count=st.integers(1, 40), wide=st.integers(2, 24))
def test_the_effective_number_is_that_of_the_definition(seed, count, wide):
    vectors = units(np.random.default_rng(seed).normal(size=(count, wide)))
    assert diversity.effective_number(vectors) == pytest.approx(reference(vectors), rel=1e-4)


def test_copies_are_one_picture_and_orthogonal_ones_are_as_many_as_they_are():
    assert diversity.effective_number(units([[1, 2, 3]] * 9)) == pytest.approx(1)
    assert diversity.effective_number(np.eye(7, dtype=np.float32)) == pytest.approx(7)
    assert diversity.effective_number(np.repeat(np.eye(4, dtype=np.float32), 5, axis=0)) == pytest.approx(4)
    assert diversity.effective_number(np.empty((0, 8), np.float32)) == 0


def test_planted_viewpoints_are_found():
    vectors = np.concatenate([around(np.eye(16)[at], size, 0.05, at) for at, size in enumerate((32, 5, 3))])
    mixed = np.random.default_rng(1).permutation(40)
    found = diversity.clusters(vectors[mixed], similarity=0.8)
    assert [len(one.members) for one in found] == [32, 5, 3]
    assert {int(mixed[one]) for one in found[0].members} == set(range(32))


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), count=st.integers(1, 60))
def test_every_picture_is_in_one_cluster_and_near_its_middle(seed, count):
    vectors = units(np.random.default_rng(seed).normal(size=(count, 3)))
    found = diversity.clusters(vectors, similarity=0.7)
    assert sorted(place for one in found for place in one.members) == list(range(count))
    for one in found:
        assert (vectors[list(one.members)] @ vectors[one.members[0]] >= 0.7 - 1e-5).all()


def test_those_that_do_not_belong_are_found_and_no_others():
    subject = around(np.eye(32)[0], 38, 0.1)
    strangers = around(np.eye(32)[5], 2, 0.1, 9)
    found = diversity.odd_ones(np.concatenate([subject, strangers]))
    assert {place for place, _ in found} == {38, 39}
    assert found[0][1] >= found[1][1] > 3.5
    assert diversity.odd_ones(subject) == []
    assert diversity.odd_ones(strangers) == []


def row(**changes):
    given = {
        "exposure__p5": 0.1,
        "exposure__contrast": 0.6,
        "grayscale__color": 15.0,
        "canonical__width": 800,
        "canonical__height": 600,
        "resolution__short_side": 600,
        "perceptual__colors": 0,
    }
    return given | changes


def test_coverage_counts_every_picture_once_in_each_property():
    rows = [row(), row(exposure__p5=0.7, exposure__contrast=0.3), row(grayscale__color=0.2), row(canonical__width=300)]
    for one in diversity.coverage(rows):
        assert sum(one.counts.values()) == 4
        assert 1 <= one.effective <= len(one.counts)
    told = {one.name: one for one in diversity.coverage(rows)}
    assert told["lighting"].counts == {"of middle brightness": 3, "bright": 1, "dark": 0}
    assert told["colour"].counts["almost colourless"] == 1
    assert told["resolution"].effective == 1
    assert told["composition"].counts["evenly lit"] == 4


def test_composition_tells_where_a_picture_is_lightest():
    above = sum(31 << 5 * place for place in range(6))
    right = sum(31 << 5 * (3 * quarter + channel) for quarter in (1, 3) for channel in range(3))
    counts = {
        one.name: one for one in diversity.coverage([row(perceptual__colors=above), row(perceptual__colors=right)])
    }
    assert counts["composition"].counts["lighter above"] == 1
    assert counts["composition"].counts["lighter to the right"] == 1


def test_advice_says_what_is_one_sided_and_nothing_of_a_varied_set():
    found = [diversity.Cluster(tuple(range(32))), diversity.Cluster(tuple(range(32, 40)))]
    told = diversity.advice(40, found, diversity.coverage([row()] * 40), 2, [("dog", 39)])
    assert "32 of 40 pictures share one viewpoint: add some from elsewhere." in told
    assert any("40 of 40 pictures are oblong (aspect)" in one for one in told)
    assert any("“dog” is in 39 of 40 captions" in one for one in told)
    assert "2 of 40" in told[-1]
    varied = [diversity.Coverage("lighting", {"dark": 5, "bright": 5}, 2.0)]
    assert diversity.advice(10, [diversity.Cluster((one,)) for one in range(10)], varied, 0) == []
    assert diversity.advice(4, found, diversity.coverage([row()] * 4), 1) == []


def test_terms_count_captions_and_not_words():
    told = diversity.terms(["a dog and a dog on the grass", "a Dog, near a cat", "grass"])
    assert told == [("dog", 2), ("grass", 2), ("cat", 1)]
