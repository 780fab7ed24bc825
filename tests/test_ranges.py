import pytest

from pipeline import ranges
from pipeline.errors import RecipeError
from pipeline.recipe import parse

LEAST = {"name": "toys", "sources": [{"path": "photos"}]}


def recipe(**found):
    return parse({**LEAST, "tune": {"ranges": found and {f"train.{name}": one for name, one in found.items()}}})


def test_numbers_whole_numbers_and_choices_are_ranges():
    made = recipe(
        learning_rate={"low": "1e-5", "high": 1e-3, "log": True},
        steps={"low": 100, "high": 300, "step": 100},
        target_modules={"choices": [["to_q"], ["to_q", "to_k"]]},
    ).tune.ranges
    assert made["train.learning_rate"].low == 1e-5
    assert ranges.is_whole("train.steps")
    assert ranges.is_whole("train.conv_rank")
    assert not ranges.is_whole("train.learning_rate")
    assert ranges.value("train.target_modules", made["train.target_modules"].choices[0]) == ("to_q",)


@pytest.mark.parametrize(
    ("path", "found", "said"),
    [
        ("augment.views", {"choices": [1, 2]}, "cached training set"),
        ("train.method", {"choices": ["lora", "full"]}, "what one method reads"),
        ("train.checkpoint_every", {"low": 1, "high": 9}, "decides nothing"),
        ("train.seed", {"choices": [1, 2]}, "luck"),
        ("train.rnk", {"choices": [1, 2]}, "no such setting"),
        ("train.learning_rate", {"low": 1e-5, "high": 20}, "20.0 will not do"),
        ("train.rank", {"low": 0, "high": 4}, "0.0 will not do"),
        ("train.rank", {"low": 1.5, "high": 4}, "whole number"),
        ("train.rank", {"low": 1, "high": 9, "step": 0.5}, "whole number"),
        ("train.rank", {"choices": [4, 0]}, "0 will not do"),
        ("train.lr_schedule", {"choices": ["cosine", "sine"]}, "'sine' will not do"),
        ("train.lr_schedule", {"low": 0, "high": 1}, "0.0 will not do"),
        ("train.use_dora", {"low": 0, "high": 1}, "is no number"),
        ("train.rank", {"choices": [4]}, "two or more"),
        ("train.rank", {"low": 4}, "low and high"),
        ("train.rank", {"low": 4, "high": 4}, "below high"),
        ("train.rank", {"low": 1, "high": 4, "choices": [1, 2]}, "either choices"),
        ("train.weight_decay", {"low": 0, "high": 1, "log": True}, "above 0"),
    ],
)
def test_a_range_that_cannot_be_is_refused_at_once_with_the_reason(path, found, said):
    with pytest.raises(RecipeError) as error:
        parse({**LEAST, "tune": {"ranges": {path: found}}})
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_ranges_change_neither_a_recipes_digest_nor_its_training():
    plain, searching = parse(LEAST), recipe(rank={"choices": [4, 8]})
    assert plain.digest == searching.digest
    assert plain.train == searching.train
    assert parse({**LEAST, "train": {"rank": 4}}).digest != plain.digest
