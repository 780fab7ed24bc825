"""The drift of general prompts: measured beside everything else, and a training that goes too far ends."""

import pytest

from pipeline.errors import GessoError, RecipeError
from pipeline.recipe import parse
from pipeline.training import checkpoints

GENERAL = "a blue square"
EVALUATE = {"every": 2, "prompts": ["a red circle"], "seeds": [1, 2], "steps": 2, "guidance": 2.0}
EVALUATE |= {"general_prompts": [GENERAL]}
TRAIN = {"steps": 4, "batch_size": 2, "checkpoint_every": 2, "learning_rate": 3e-2, "rank": 4}
BEFORE = ("ingest", "measure", "select", "caption", "review", "trainset")


def test_drift_is_measured_of_general_prompts_alone_and_goes_on_from_what_was_painted(begun):
    made = begun(evaluate=EVALUATE, train=TRAIN).go(*BEFORE, "train", "evaluate")
    metrics = {(row["name"], row["of"]): row for row in made.run.rows("metrics")}
    found = metrics["drift", "general prompts"]
    assert found["before"] == pytest.approx(0, abs=1e-3)
    assert found["after"] > 0.1
    assert found["difference"] == pytest.approx(found["after"], abs=1e-3)
    assert found["higher_is_better"] is False
    samples = {(row["step"], row["prompt"]) for row in made.run.rows("samples_made")}
    assert samples == {(step, prompt) for step in (0, 2, 4) for prompt in ("a red circle", GENERAL)}
    # the other measures of samples are of the prompts that training is about
    plain = begun(evaluate={**EVALUATE, "general_prompts": []}, train=TRAIN).go(*BEFORE, "train", "evaluate")
    others = {(row["name"], row["of"]): row for row in plain.run.rows("metrics")}
    assert set(metrics) - set(others) == {("drift", "general prompts")}
    assert metrics["clip score", "samples"] == others["clip score", "samples"]
    # it is no part of the training
    assert plain.stats["train"].computed == 0

    limited = begun(evaluate={**EVALUATE, "max_drift": found["after"] / 2}, train=TRAIN).go(*BEFORE, "train")
    with pytest.raises(GessoError, match=r"general prompts drifted by .* evaluate\.max_drift"):
        limited.go("evaluate")
    assert {row["name"] for row in limited.run.rows("metrics")} == {row["name"] for row in made.run.rows("metrics")}


def test_a_training_that_goes_beyond_the_limit_ends_there(begun):
    made = begun(evaluate={**EVALUATE, "max_drift": 1e-6}, train=TRAIN).go(*BEFORE)
    with pytest.raises(GessoError, match=r"drifted by .* at step 2"):
        made.go("train")
    folder = made.run.training
    assert not (folder / "done.json").exists()
    assert checkpoints.latest(folder) is None
    # again, it is known without another step
    with pytest.raises(GessoError, match="at step 2"):
        made.go("train")
    wide = begun(evaluate={**EVALUATE, "max_drift": 200}, train=TRAIN).go(*BEFORE, "train")
    assert wide.run.json("training")["steps"] == 4


def test_a_limit_needs_something_to_measure():
    with pytest.raises(RecipeError, match="general_prompts"):
        parse({"name": "x", "sources": [{"path": "p"}], "evaluate": {"max_drift": 5}})
