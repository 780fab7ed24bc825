import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from pipeline import imaging, models
from pipeline.stage import Tools
from pipeline.steps import evaluate
from pipeline.steps.evaluation import Evaluation

BEFORE = ("ingest", "measure", "select", "caption", "review", "trainset", "train")
PROMPT = "a small red circle on a blue background"


def pixels(row):
    return imaging.decode(row["png"]).pixels


def test_base_middle_and_last_are_evaluated_with_the_same_prompts_and_seeds(finished):
    made = [(row["step"], row["prompt"], row["seed"]) for row in finished.run.rows("samples_made")]
    assert made == [(step, PROMPT, seed) for step in (0, 2, 4) for seed in (1, 2)]
    assert finished.said["evaluate"].startswith("3 checkpoints, 6 samples")
    assert all(pixels(row).shape == (64, 64, 3) for row in finished.run.rows("samples_made"))


def test_step_0_is_the_base_model_and_later_ones_differ(finished):
    rows = {(row["step"], row["seed"]): pixels(row) for row in finished.run.rows("samples_made")}
    pipe = models.load_pipeline("starter")
    (own,) = pipe(
        PROMPT,
        negative_prompt="",
        generator=torch.Generator().manual_seed(1),
        num_inference_steps=2,
        guidance_scale=2.0,
        height=64,
        width=64,
        output_type="np",
    ).images
    assert np.abs(rows[0, 1].astype(int) - np.round(own * 255).astype(int)).max() <= 1
    assert (rows[0, 1] != rows[0, 2]).any()
    assert (rows[0, 1] != rows[4, 1]).any()
    assert (rows[2, 1] != rows[4, 1]).any()


def test_plain_diffusers_with_the_adapter_paints_the_last_steps_samples(finished):
    folder = models.locate("starter")
    pipe = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    pipe.load_lora_weights(finished.training / "weights", weight_name="pytorch_lora_weights.safetensors")
    (made,) = pipe(
        PROMPT,
        generator=torch.Generator().manual_seed(2),
        num_inference_steps=2,
        guidance_scale=2.0,
        height=64,
        width=64,
    ).images
    assert isinstance(made, Image.Image)
    ours = next(pixels(row) for row in finished.run.rows("samples_made") if (row["step"], row["seed"]) == (4, 2))
    base = next(pixels(row) for row in finished.run.rows("samples_made") if (row["step"], row["seed"]) == (0, 2))
    apart = np.abs(ours.astype(int) - np.asarray(made, int))
    assert apart.max() <= 1
    assert np.abs(ours.astype(int) - base).max() > 1


def test_measures_compare_the_base_with_the_last_step(finished):
    metrics = {(row["name"], row["of"]): row for row in finished.run.rows("metrics")}
    assert list(metrics) == [
        ("stable loss", "held-out pictures"),
        ("stable loss", "training pictures"),
        ("clip image", "samples"),
        ("clip score", "samples"),
    ]
    evaluation = Evaluation(finished.run, Tools(finished.run.workspace, workers=1), finished.training)
    for split, of in (("train", "training pictures"), ("held_out", "held-out pictures")):
        for step, when in ((0, "before"), (4, "after")):
            values = [r["loss"] for r in evaluation.rows("losses") if (r["step"], r["split"]) == (step, split)]
            assert metrics["stable loss", of][when] == pytest.approx(np.mean(values))
    for row in metrics.values():
        assert row["difference"] == pytest.approx(row["after"] - row["before"])
        assert row["low"] <= row["difference"] <= row["high"]


def test_evaluated_again_nothing_is_rendered(finished, further):
    made = further().go(*BEFORE, "evaluate")
    assert made.stats["evaluate"].computed == 0
    for name in ("samples_made", "metrics", "stable_loss"):
        assert made.run.rows(name) == finished.run.rows(name)


def test_another_prompt_is_rendered_by_the_same_training_before_and_after(finished, further):
    asked = {"prompts": ["a big green star"], "seeds": [5], "steps": 1}
    made = further(evaluate=asked).go(*BEFORE, "evaluate")
    assert made.training == finished.training
    assert made.stats["train"].computed == 0
    assert made.stats["evaluate"].computed == 2
    assert [(row["step"], row["seed"]) for row in made.run.rows("samples_made")] == [(0, 5), (4, 5)]


def test_without_prompts_the_losses_alone_are_compared(further):
    made = further(evaluate={"prompts": []}).go(*BEFORE, "evaluate")
    assert made.run.rows("samples_made") == []
    assert [row["name"] for row in made.run.rows("metrics")] == ["stable loss", "stable loss"]


def planted(before, after):
    return [
        {"step": step, "split": "train", "sample_id": name, "timestep": 1, "loss": loss}
        for step, losses in ((0, before), (10, after))
        for name, loss in losses.items()
    ]


def test_a_planted_difference_is_found_and_pairs_are_by_picture():
    ids = [f"s{number}" for number in range(12)]
    before = {one: 1.0 + number for number, one in enumerate(ids)}
    (row,) = evaluate.compare(planted(before, {one: loss - 0.25 for one, loss in before.items()}), [], 10)
    assert (row["name"], row["of"]) == ("stable loss", "training pictures")
    assert row["difference"] == pytest.approx(-0.25)
    assert row["low"] == pytest.approx(-0.25)
    assert row["high"] == pytest.approx(-0.25)
    assert row["higher_is_better"] is False


def test_a_picture_without_its_pair_is_left_out():
    (row,) = evaluate.compare(planted({"a": 1.0, "b": 2.0, "c": 99.0}, {"a": 0.5, "b": 1.5, "d": 7.0}), [], 10)
    assert (row["before"], row["after"]) == (1.5, 1.0)
