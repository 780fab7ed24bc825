import pytest
from pydantic import ValidationError

from pipeline.duplicates import BEST, Alike, Contamination, Dedup, Near


def test_what_best_means_is_resolution_then_sharpness_or_what_the_recipe_names():
    assert Dedup().order == BEST
    assert Dedup(keep=("-noise__sigma",)).order == ("-noise__sigma",)


def test_only_copies_that_lie_the_same_in_one_run_are_looked_for_unless_more_is_asked_for():
    assert Dedup() == Dedup(near=Near(flips=False, rotations=False), embedding=None, against="run")


@pytest.mark.parametrize(
    ("part", "values"),
    [
        (Near, {"distance": 13}),
        (Near, {"colour": 256}),
        (Alike, {"similarity": 1.1}),
        (Dedup, {"against": "everything"}),
        (Dedup, {"near": {"mirrors": True}}),
        (Contamination, {"distance": -1}),
    ],
)
def test_what_is_out_of_range_is_refused(part, values):
    with pytest.raises(ValidationError):
        part(**values)
