"""The planting itself."""

import pytest

from pipeline.training import gradients, noise
from pipeline.training.average import Average


def test_a_function_changes_wherever_it_was_imported_and_is_itself_again(plant):
    before, true = noise.seed_of(1, 2), noise.seed_of.__code__
    with plant("pipeline.training.noise:seed_of", "int(seed) >> 1", "7"):
        assert noise.seed_of(1, 2) == gradients.seed_of(3) == 7
        assert noise.generator(5).initial_seed() == 7
    assert noise.seed_of(1, 2) == before
    assert noise.seed_of.__code__ is true


def test_methods_properties_generators_and_values_can_have_bugs(plant):
    average = Average([], decay=0.0, step=0)
    with plant("pipeline.training.average:Average.__bool__", "is not None", "is None"):
        assert average
    with (
        plant(
            "pipeline.training.average:Average.applied",
            "yield\n            return",
            "yield from [globals()]\n            return",
        ),
        average.applied() as seen,
    ):
        assert seen["Average"] is Average
    assert not average
    with plant("pipeline.training.gradients:DROPOUT", "1", "2"):
        assert gradients.DROPOUT == 2
    assert gradients.DROPOUT == 1


@pytest.mark.parametrize("old", ["not in there", "self"])
def test_what_does_not_occur_exactly_once_is_refused(plant, old):
    with pytest.raises(AssertionError, match="times"), plant("pipeline.training.average:Average.apply", old, "x"):
        pass
