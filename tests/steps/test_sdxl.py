"""A whole recipe on a base model of SDXL's shape, from six pictures to the report."""

import json

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from PIL import Image
from safetensors import safe_open

from pipeline import plan
from pipeline.recipe import parse
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.starter.pictures import picture
from pipeline.steps.trainset import examples
from pipeline.workspace import Workspace

PROMPT = "a small red circle"


@pytest.fixture(scope="module")
def recipe(sdxl, tmp_path_factory):
    folder = tmp_path_factory.mktemp("xl") / "pictures"
    folder.mkdir()
    for number in range(6):
        drawn = picture(number, side=128)
        # twice as high as wide, so that a quarter is cut off above and below
        Image.fromarray(drawn.pixels[:, :64].copy()).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(drawn.caption, encoding="utf-8")

    def of(**changes):
        return parse(
            {
                "name": "xl",
                "sources": [{"path": str(folder), "rights": {"license": "CC0-1.0"}}],
                "rights": {"allow": ["CC0-1.0"]},
                "dedup": {"near": None},
                "split": {"held_out": 0.3, "min_groups": 2},
                "augment": {"views": 2, "transforms": [{"RandomCrop": {"height": 48, "width": 48}}]},
                "buckets": {"resolution": 32, "step": 32, "max_aspect": 1.0},
                "base_model": {"id": str(sdxl)},
                "train": {"steps": 2, "batch_size": 2, "rank": 2, "learning_rate": 1e-2, **changes},
                "evaluate": {"prompts": [PROMPT], "seeds": [1], "steps": 2, "guidance": 2.0},
            }
        )

    return of


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return Workspace.create(tmp_path_factory.mktemp("xl") / "w")


def go(workspace, recipe):
    run = Run.create(workspace, recipe, command="a test")
    for step in plan.ALL_STEPS:
        plan.do(run, step, Tools(workspace, workers=1))
    return run


@pytest.fixture(scope="module")
def done(workspace, recipe):
    plan.check_all(recipe())
    return go(workspace, recipe())


def test_the_chain_ends_with_a_report(done):
    told = json.loads((done.folder / "report.json").read_text(encoding="utf-8"))
    assert told
    assert (done.folder / "report.html").stat().st_size > 10_000
    measured = {(row["name"], row["of"]) for row in done.rows("metrics")}
    assert {("stable loss", "held-out pictures"), ("clip score", "samples")} <= measured
    assert all(np.isfinite(row["after"]) for row in done.rows("metrics"))


def test_the_method_reads_texts_as_the_pipeline_encodes_them_and_cuts_as_they_were_made(done, sdxl):
    data = examples(done, "train", Tools(done.workspace))
    pipe = StableDiffusionXLPipeline.from_pretrained(sdxl)
    for place, row in enumerate(data.rows):
        batch = data.batch([place])
        with torch.no_grad():
            text, none, pooled, no_pooled = pipe.encode_prompt([row["caption"]])
        assert torch.allclose(batch.text, text, atol=1e-5)
        assert torch.allclose(batch.pooled, pooled, atol=1e-5)
        assert torch.equal(data.empty_text, none[0])
        assert torch.equal(data.empty_pooled, no_pooled[0])
        if row["view"] == 0:
            # 64 x 128, of which the middle 64 x 64 became 32 x 32
            assert batch.time_ids[0].tolist() == [128, 64, 16, 0, 32, 32]
        else:
            assert batch.time_ids[0, :2].tolist() == [128, 64]
            assert 0 <= batch.time_ids[0, 2] <= 80 * 32 / 48
            assert 0 <= batch.time_ids[0, 3] <= 16 * 32 / 48
    assert len({tuple(data.batch([place]).time_ids[0].tolist()) for place in range(len(data.rows))}) > 1
    assert (data.scale, data.shift) == (0.13025, 0.0)


def test_a_further_run_computes_nothing_of_it_again(done, workspace, recipe):
    again = go(workspace, recipe())
    assert {one.name: one.computed for one in again.stats() if one.computed} == {}
    assert again.training == done.training


def test_every_weight_can_be_trained_too(done, workspace, recipe):
    whole = go(workspace, recipe(method="full"))
    assert whole.training != done.training
    weights = workspace.root / "trainings" / whole.json("training")["folder"] / "weights" / "unet"
    with safe_open(next(weights.glob("*.safetensors")), "pt") as file:
        assert file.metadata()["gesso_trainset_digest"] == done.json("trainset")["digest"]
        assert "add_embedding.linear_1.weight" in file.keys()  # noqa: SIM118
    counted = {one.name: one.computed for one in whole.stats()}
    assert counted["latents"] == counted["texts"] == counted["crops"] == 0
