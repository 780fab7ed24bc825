import math

import pytest

from pipeline import advice, model_files
from pipeline.steps import preflight
from pipeline.steps.train import SAID
from pipeline.training.settings import TrainSettings

BEFORE = ("ingest", "measure", "select", "caption", "review", "trainset")


def lines(run, about):
    return [one for one in preflight.of_run(run, device="cpu") if one.about == about]


def test_a_run_knows_it_all_before_it_trains(finished):
    found = {one["about"]: one for one in finished.run.json("preflight")["lines"]}
    assert set(found) >= {"memory", "time", "learning rate", "concept", "cropping", "captions"}
    assert "works as 0.001" in found["learning rate"]["said"]
    pictures = len({row["sample_id"] for row in finished.run.rows("views") if row["split"] == "train"})
    assert found["concept"]["said"].startswith(f"thing (pictures): {pictures} pictures, 4 steps' worth")
    heard = [one for one in finished.heard if one.partition(":")[0] in SAID]
    assert len(heard) == len(SAID)


def test_the_memory_that_a_step_took_is_what_was_said_within_a_factor_of_two(begun, monkeypatch):
    # what else this process holds counts as what its libraries do
    made = begun(train={"steps": 1, "batch_size": 2, "rank": 2}).go(*BEFORE)
    (line,) = lines(made.run, "memory")
    said = float(line.said.split()[1]) * 1024
    peak = made.go("train").stats["train"].peak_mib
    assert said / 2 < peak < said * 2


def test_what_is_cut_is_named_by_its_file(begun, pictures):
    words = " ".join(["a red circle"] * 40)
    made = begun(
        caption={"captioner": "sidecar", "compose": words}, buckets={"resolution": 64, "step": 64, "max_aspect": 1.0}
    ).go(*BEFORE)
    (captions,) = lines(made.run, "captions")
    count = len({row["sample_id"] for row in made.run.rows("views") if row["split"] == "train"})
    assert captions.said.startswith(f"{count} of {count} are cut at 77 tokens: ")
    assert ".png" in captions.said
    assert lines(made.run, "cropping")[0].said.startswith("no picture")


def test_a_plan_needs_no_run_and_no_torch(finished, monkeypatch):
    recipe = finished.run.recipe
    found = preflight.of_recipe(recipe, recipe.train, device="cpu")
    assert [one.about for one in found] == ["memory", "time", "learning rate"]
    elsewhere = recipe.model_copy(update={"base_model": recipe.base_model.model_copy(update={"id": "owner/model"})})
    assert [one.about for one in preflight.of_recipe(elsewhere, recipe.train, device="cpu")] == ["learning rate"]
    monkeypatch.setattr(preflight.memory, "room", lambda gpu: preflight.memory.Room(2**20, 2**20))
    with pytest.raises(preflight.advice.RecipeError, match=r"and the machine has 0\.0 GiB"):
        advice.check(preflight.of_recipe(recipe, recipe.train, device="cpu"))
    assert "PFLOP" in preflight.of_recipe(recipe, recipe.train, device="cuda")[1].said


def test_sdxl_is_told_what_its_guides_take_and_at_which_size(finished, sdxl):
    base = finished.run.recipe.base_model.model_copy(update={"id": str(sdxl)})
    buckets = finished.run.recipe.buckets.model_copy(update={"resolution": 256})
    recipe = finished.run.recipe.model_copy(update={"base_model": base, "buckets": buckets})
    found = {one.about: one.said for one in preflight.of_recipe(recipe, TrainSettings(), device="cpu")}
    assert "guides for Stable Diffusion XL take rank 32" in found["family"]
    native = model_files.config(sdxl / "unet")["sample_size"]
    assert ("resolution" in found) == (native < 128)


def test_the_machines_speed_is_a_speed():
    assert 1e8 < preflight.speed() < 1e14
    assert math.isfinite(preflight.speed())
