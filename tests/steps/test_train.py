import json
import signal

import pytest
from safetensors import safe_open
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pipeline import models, plan
from pipeline.stage import Tools
from pipeline.steps import evaluate
from pipeline.stopping import Stopped

BEFORE = ("ingest", "measure", "select", "caption", "review", "trainset")
TRAIN = {"steps": 4, "batch_size": 2, "checkpoint_every": 2, "learning_rate": 1e-3, "rank": 4}
LORA = "weights/pytorch_lora_weights.safetensors"


class StoppedError(Exception):
    """Ends a training where the test wants it."""


def same(one, other):
    first, second = load_file(one), load_file(other)
    return first.keys() == second.keys() and all((value == second[name]).all() for name, value in first.items())


def test_it_saves_where_the_weights_are_and_how_the_loss_went(finished):
    facts = finished.run.json("training")
    assert finished.training == finished.run.training
    assert facts["steps"] == 4
    assert facts["method"] == "lora"
    assert len(facts["losses"]) == 4
    assert all(loss > 0 for loss in facts["losses"])
    assert (finished.training / facts["weights"] / "pytorch_lora_weights.safetensors").is_file()
    assert json.loads((finished.training / "done.json").read_text())["losses"] == facts["losses"]
    assert finished.stats["train"].computed == 4


def test_the_adapters_header_names_the_training_set_and_what_it_was_made_from(finished):
    with safe_open(finished.training / LORA, "pt") as opened:
        header = opened.metadata()
    assert header["gesso_trainset_digest"] == finished.run.json("trainset")["digest"]
    assert (finished.run.workspace.trainsets / header["gesso_trainset_digest"] / "manifest.parquet").is_file()
    assert header["gesso_base_model"] == "starter"
    assert header["gesso_base_unet_sha256"] == models.weights_hash(models.locate("starter"), "unet")
    assert header["gesso_recipe"] == header["modelspec.title"] == "small"
    assert header["gesso_steps"] == "4"


def test_evaluations_are_on_the_board_beside_the_losses(finished):
    board = EventAccumulator(str(finished.training / "tensorboard")).Reload()
    assert {event.step for event in board.Scalars("train/loss")} == {1, 2, 3, 4}
    losses = {event.step: event.value for event in board.Scalars("evaluation/stable_loss, held_out")}
    assert losses.keys() == {0, 2, 4}
    rows = [row["loss"] for row in finished.run.rows("stable_loss") if (row["step"], row["split"]) == (4, "held_out")]
    assert losses[4] == pytest.approx(sum(rows) / len(rows), rel=1e-5)
    (tag, _) = board.Tags()["images"]  # of two seeds
    assert [event.step for event in board.Images(tag)] == [0, 2, 4]


def test_epochs_are_the_same_training_as_their_steps(finished, further):
    batches = -(-finished.run.json("trainset")["train"] * 2 // 2)  # each row twice, in batches of 2 of one size
    made = further(train={**TRAIN, "steps": None, "epochs": 1}).go(*BEFORE)
    assert made.run.json("trainset")["batches"] == batches
    assert made.run.recipe.train.steps == 0
    assert made.run.train.steps == batches
    assert f"{batches} steps make 1 epoch" in made.said["trainset"]
    told = further(train={**TRAIN, "steps": batches}).go(*BEFORE)
    assert made.run.training == told.run.training
    assert made.run.training != finished.run.training


def test_the_training_is_found_again_whoever_asks(finished, further):
    made = further().go(*BEFORE, "train")
    assert made.run.json("training") == finished.run.json("training")
    assert made.stats["train"].computed == 0
    assert made.heard == []


@pytest.mark.parametrize(
    "changes",
    [
        {"evaluate": {"prompts": ["another prompt"], "seeds": [7], "steps": 1}},
        {"evaluate": {"prompts": []}},
        {"train": {**TRAIN, "checkpoint_every": 1, "keep_checkpoints": 1}},
        {"review": {"require": "none", "undecided": "exclude"}},
    ],
    ids=["prompt", "no prompt", "checkpoints", "review"],
)
def test_what_decides_no_weights_makes_no_other_training(finished, further, changes):
    made = further(**changes).go(*BEFORE)
    assert made.run.training == finished.training


@pytest.mark.parametrize(
    "changes",
    [
        {"train": {**TRAIN, "learning_rate": 2e-3}},
        {"train": {**TRAIN, "seed": 1}},
        {"train": {**TRAIN, "steps": 5}},
        {"augment": {"views": 1}},
        {"split": {"held_out": 0.3, "min_groups": 2, "seed": 8}},
    ],
    ids=["rate", "seed", "steps", "views", "split"],
)
def test_what_decides_weights_makes_another_training(finished, further, changes):
    made = further(**changes).go(*BEFORE)
    assert made.run.training != finished.training
    assert made.run.training.parent == finished.training.parent


def test_another_learning_rate_trains_anew_and_ends_with_other_weights(finished, further):
    made = further(train={**TRAIN, "learning_rate": 2e-3, "steps": 2}, evaluate={"prompts": []}).go(*BEFORE, "train")
    assert made.stats["train"].computed == 2
    assert not same(made.training / LORA, finished.training / LORA)


@pytest.mark.parametrize("stopped_at", [0, 2, 4])
def test_a_stopped_training_goes_on_to_the_weights_of_an_undisturbed_one(copied, finished, monkeypatch, stopped_at):
    made = copied().go(*BEFORE)
    plain = evaluate.Evaluation.step

    def stop(self, step, unet):
        plain(self, step, unet)
        if step == stopped_at:
            raise StoppedError

    monkeypatch.setattr(evaluate.Evaluation, "step", stop)
    with pytest.raises(StoppedError):
        made.go("train")
    monkeypatch.undo()
    assert made.run.json("training") == {}
    assert not (made.run.training / "done.json").exists()
    again = copied().go(*BEFORE, "train")
    assert again.run.training == made.run.training
    # the callback of a step comes before its checkpoint
    going_on = [text for text in again.heard if text.startswith("going on after")]
    assert going_on == (["going on after step 2"] if stopped_at == 4 else [])
    assert same(again.training / LORA, finished.training / LORA)
    assert again.run.json("training")["losses"] == finished.run.json("training")["losses"]
    assert [text for text in again.heard if text == f"evaluate: step {stopped_at} done"] == []


def test_it_says_how_far_it_is(finished):
    told = [one for one in finished.told if one[0] == "train"]
    assert [one[1:3] for one in told] == [(step, 4) for step in range(5)]
    assert all(one[3].startswith("loss ") for one in told[1:])
    assert finished.said["train"].startswith("4 steps, loss ")


def test_told_to_stop_it_ends_with_a_checkpoint_and_goes_on_to_the_same_weights(finished, copied):
    rare = {"train": {**TRAIN, "checkpoint_every": 100}}
    made = copied(**rare).go(*BEFORE)

    def stop(stage, done, *_):
        if (stage, done) == ("train", 3):
            signal.raise_signal(signal.SIGTERM)

    tools = Tools(made.run.workspace, workers=1, say=made.heard.append, progress=stop)
    with pytest.raises(Stopped, match="SIGTERM"):
        plan.do(made.run, "train", tools)
    assert [one.name for one in (made.run.training / "checkpoints").iterdir()] == ["step-0000003"]
    made.go("train")
    assert "going on after step 3" in made.heard
    assert same(made.training / LORA, finished.training / LORA)
