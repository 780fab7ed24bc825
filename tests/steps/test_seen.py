"""The chain with methods that train on pixels: no latents, no samples, held-out measures, and a report."""

import pytest
from transformers import CLIPModel

from pipeline import learning, outlook, plan
from pipeline.recipe import parse
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.starter import lessons
from pipeline.steps.evaluation import Evaluation
from pipeline.workspace import Workspace

METRICS = {"vae": {"example loss", "reconstruction"}, "clip": {"example loss", "retrieval"}, "blip": {"example loss"}}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seen")
    lessons.draw(folder, {"told": 24}, say=lambda _: None)
    return folder


def recipe(folder, method, **base):
    return parse(
        {
            "name": method,
            "sources": [{"path": str(folder / "told"), "rights": {"license": "CC0-1.0"}}],
            "rights": {"allow": ["CC0-1.0"]},
            "dedup": {"near": None},
            "split": {"held_out": 0.4, "min_groups": 2},
            "buckets": {"resolution": 64, "step": 64, "max_aspect": 1.0},
            "base_model": {"id": "starter", **base},
            "train": {"method": method, "steps": 2, "batch_size": 4, "warmup_steps": 0, "learning_rate": 1e-4},
            "evaluate": {"prompts": ["nobody paints this"]},
        }
    )


def go(folder, chosen):
    workspace, said = Workspace.create(folder / "workspace"), {}
    run = Run.create(workspace, chosen, command="gesso run")
    plan.check_all(chosen)
    for step in plan.ALL_STEPS:
        said[step] = plan.do(run, step, Tools(workspace, workers=1))
    return run, said


@pytest.mark.parametrize("method", METRICS)
def test_a_chain_ends_with_held_out_measures_and_a_report(place, method):
    run, _ = go(place, recipe(place, method))
    rows = run.rows("metrics")
    assert {row["name"] for row in rows} == METRICS[method]
    assert {row["of"] for row in rows} == {"held-out pictures", "training pictures"}
    assert all(row["before"] != row["after"] for row in rows if row["name"] == "example loss")
    assert all(row["low"] <= row["difference"] <= row["high"] for row in rows)
    assert run.rows("samples_made") == run.rows("stable_loss") == []
    assert {one.name for one in run.stats()}.isdisjoint({"latents", "texts", "samples", "scores", "losses"})
    report = (run.folder / "report.html").read_text()
    assert "held-out pictures" in report
    assert "No picture was held out" not in report
    found = {one["stage"]: one for one in outlook.look(run.recipe, run.workspace.root)["stages"]}
    assert set(found) == {"ingest", "measure", "caption", "train"}
    assert (found["train"]["cached"], found["train"]["missing"]) == (2, 0)


def test_a_finished_training_is_found_and_nothing_is_measured_again(place, monkeypatch):
    first, _ = go(place, recipe(place, "clip"))
    monkeypatch.setattr("pipeline.seeing.values", None)
    monkeypatch.setattr("pipeline.models.load_trainable", None)
    again, _ = go(place, recipe(place, "clip"))
    assert again.json("training") == first.json("training")
    assert again.rows("metrics") == first.rows("metrics")


def test_from_scratch_another_seed_is_another_training_and_another_beginning(place):
    runs = []
    for seed in (0, 1):
        chosen = recipe(place, "clip", scratch=True)
        chosen = chosen.model_copy(update={"train": chosen.train.model_copy(update={"seed": seed})})
        runs.append(go(place, chosen)[0])
    warm, _ = go(place, recipe(place, "clip"))
    assert len({run.training for run in (*runs, warm)}) == 3
    befores = {row["before"] for run in (*runs, warm) for row in run.rows("metrics") if row["name"] == "example loss"}
    assert len(befores) == 6
    facts = runs[0].json("training")
    made = runs[0].workspace.root / "trainings" / facts["folder"] / facts["weights"] / "clip"
    assert CLIPModel.from_pretrained(made).config.projection_dim == 128


def test_a_model_that_sees_pixels_is_named_by_its_whole(place):
    chosen = recipe(place, "clip")
    assert learning.hashes(chosen).keys() == {""}
    run, _ = go(place, chosen)
    evaluation = Evaluation(run, Tools(run.workspace), run.training)
    assert evaluation.has(0)
    assert evaluation.has(2)
    assert {row["step"] for row in evaluation.rows("values")} == {0, 2}
    assert evaluation.rows("samples") == []
