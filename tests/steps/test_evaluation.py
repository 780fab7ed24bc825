"""What is measured of each step is stored by what decides it; nothing else is measured again."""

import shutil
from collections import Counter

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from pipeline import models
from pipeline.stage import Tools
from pipeline.steps import measures
from pipeline.steps.evaluation import Evaluation

BEFORE = ("ingest", "measure", "select", "caption", "review", "trainset", "train")


def test_losses_are_of_both_splits_and_of_whole_pictures_alone(finished):
    evaluation = Evaluation(finished.run, Tools(finished.run.workspace, workers=1), finished.training)
    views = {row["sample_id"]: row["split"] for row in finished.run.rows("views")}
    rows = evaluation.rows("losses")
    for step in (0, 2, 4):
        assert {(row["sample_id"], row["split"]) for row in rows if row["step"] == step} == set(views.items())
    keys = {(row["step"], row["sample_id"], row["timestep"]) for row in rows}
    assert len(keys) == len(rows) == 3 * len(views) * len({row["timestep"] for row in rows})
    means = finished.run.rows("stable_loss")
    for mean in means:
        same = [row["loss"] for row in rows if all(row[name] == mean[name] for name in ("step", "split", "timestep"))]
        assert mean["loss"] == pytest.approx(np.mean(same))
    assert {(row["step"], row["split"]) for row in means} == {(s, t) for s in (0, 2, 4) for t in ("train", "held_out")}


def spied(monkeypatch):
    """Counts the rows that are measured, by the name of the measure."""
    counts = Counter()
    for name in ("samples", "scores", "losses"):
        real = getattr(measures, name)

        def spy(*given, name=name, real=real):
            made = real(*given)
            counts[name] += len(made)
            return made

        monkeypatch.setattr(measures, name, spy)
    return counts


def test_another_clip_scores_the_pictures_that_are_there(finished, further, tmp_path, monkeypatch):
    folder = shutil.copytree(models.locate("starter", part="clip"), tmp_path / "clip")
    weights = load_file(folder / "model.safetensors")
    save_file(
        weights | {"visual_projection.weight": weights["visual_projection.weight"].flip(0)},
        folder / "model.safetensors",
    )
    made = further(evaluate={**finished.run.recipe.evaluate.model_dump(mode="json"), "clip": str(folder)}).go(*BEFORE)
    counts = spied(monkeypatch)
    made.go("evaluate")
    assert counts == {"scores": 4}
    assert [row["png"] for row in made.run.rows("samples_made")] == [
        row["png"] for row in finished.run.rows("samples_made")
    ]
    scores = {row["name"]: row["before"] for row in made.run.rows("metrics")}
    before = {row["name"]: row["before"] for row in finished.run.rows("metrics")}
    assert scores["stable loss"] == before["stable loss"]
    assert scores["clip score"] != before["clip score"]


def test_the_base_model_is_measured_once_for_all_trainings_of_a_set(finished, further, monkeypatch):
    train = {**finished.run.recipe.train.model_dump(mode="json"), "learning_rate": 2e-3}
    made = further(train=train).go(*BEFORE[:-1])
    counts = spied(monkeypatch)
    made.go("train", "evaluate")
    assert made.training != finished.training
    assert counts == {"samples": 4, "scores": 4, "losses": 24}  # after steps 2 and 4
    first = [row for row in made.run.rows("samples_made") if row["step"] == 0]
    assert first == [row for row in finished.run.rows("samples_made") if row["step"] == 0]


def test_one_seed_more_paints_its_own_pictures_alone(finished, further, monkeypatch):
    made = further(evaluate={**finished.run.recipe.evaluate.model_dump(mode="json"), "seeds": [1, 2, 3]}).go(*BEFORE)
    counts = spied(monkeypatch)
    made.go("evaluate")
    assert counts == {"samples": 2, "scores": 2}
    was = {(row["step"], row["seed"]): row["png"] for row in finished.run.rows("samples_made")}
    now = {(row["step"], row["seed"]): row["png"] for row in made.run.rows("samples_made")}
    assert set(now) == {(step, seed) for step in (0, 4) for seed in (1, 2, 3)}  # those of step 2 were not all painted
    assert all(now[key] == png for key, png in was.items() if key in now)


def test_a_caption_by_a_person_measures_its_own_picture_of_the_base_model_again(copied, monkeypatch):
    made = copied().go("ingest", "measure", "select", "caption")
    made.decide("04.png", caption="a thing that a person saw")
    made.go("review", "trainset")
    counts = spied(monkeypatch)
    evaluation = Evaluation(made.run, Tools(made.run.workspace, workers=1), made.run.training)
    evaluation.step(0, lambda: models.load_painter("starter"))
    assert counts == {"losses": 1}
    assert evaluation.has(0)
    assert not evaluation.has(2)


def test_it_is_due_at_every_so_many_steps_and_the_last(finished):
    evaluation = Evaluation(finished.run, Tools(finished.run.workspace, workers=1), finished.training)
    assert [step for step in range(1, 6) if evaluation.due(step)] == [2, 4]
