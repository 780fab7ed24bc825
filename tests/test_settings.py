import pytest
from pydantic import ValidationError

from pipeline import settings
from pipeline.duplicates import Evaluation
from pipeline.settings import Buckets, Limit, Painted, Part, Source

PARTS = [
    part for part in vars(settings).values() if isinstance(part, type) and issubclass(part, Part) and part is not Part
]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_every_part_is_frozen_described_and_refuses_what_it_does_not_know(part):
    assert part.__doc__
    assert part.model_config["frozen"]
    assert part.model_config["extra"] == "forbid"
    assert all(field.description for field in part.model_fields.values())


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_defaults_are_within_their_own_limits(part):
    required = {
        Evaluation: {"name": "benchmark", "path": "photos"},
        Source: {"path": "photos"},
        Limit: {"min": 0},
        Painted: {"prompts": ["a dog"]},
    }
    made = part.model_validate(required.get(part, {}))
    assert part.model_validate(made.model_dump(by_alias=True)) == made


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_limit_is_a_finite_number(value):
    for name in ("min", "max"):
        with pytest.raises(ValidationError, match="finite"):
            Limit(**{name: value})


def test_a_limit_holds_something():
    assert Limit(min=1, max=1).min == Limit(min=1).min == 1
    for nothing in ({}, {"min": 1.1, "max": 1}):
        with pytest.raises(ValidationError):
            Limit(**nothing)


def test_the_square_bucket_holds_a_step():
    assert Buckets(resolution=64, step=64)
    with pytest.raises(ValidationError, match="less than one step"):
        Buckets(resolution=63, step=64)


def test_class_is_the_word_in_a_recipe():
    source = Source.model_validate({"path": "x", "class": "dog"})
    assert source.class_ == "dog"
    assert source.model_dump(by_alias=True)["class"] == "dog"
