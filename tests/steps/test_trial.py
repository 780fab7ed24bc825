import pytest

from pipeline.errors import RecipeError
from pipeline.steps import trial


def row(sample, step, loss, split="held_out"):
    return {"split": split, "sample_id": sample, "step": step, "loss": loss}


def test_a_value_is_the_held_out_loss_after_over_before_by_picture():
    rows = [row("a", 0, 1.0), row("a", 4, 0.5), row("b", 0, 3.0), row("b", 4, 1.5)]
    noise = [row("a", 2, 9.0), row("c", 0, 100.0), row("a", 0, 50.0, "train"), row("a", 4, 50.0, "train")]
    assert trial.measured([*rows, *noise], 4).ratio == pytest.approx(0.5)
    assert trial.measured(rows, 2) is None


def test_a_trials_run_asks_for_its_settings_and_paints_nothing(finished):
    asked = trial.asked(finished.run, {"train.learning_rate": 0.25}, every=3)
    assert asked.recipe.train.learning_rate == 0.25
    assert asked.recipe.train.checkpoint_every == asked.recipe.evaluate.every == 3
    assert asked.recipe.evaluate.prompts == ()
    assert asked.training != finished.run.training
    assert finished.run.recipe.train.learning_rate != 0.25
    with pytest.raises(RecipeError):
        trial.asked(finished.run, {"train.learning_rate": -1})
