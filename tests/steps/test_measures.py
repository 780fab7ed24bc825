import numpy as np
import pytest

from pipeline import imaging, models
from pipeline.metrics import clip_score
from pipeline.stage import Tools
from pipeline.steps import evaluate, measures

BEFORE = ("ingest", "measure", "select", "caption", "review", "trainset", "train")


@pytest.fixture
def tools(finished):
    return Tools(finished.run.workspace, workers=1)


def test_weights_read_back_render_what_they_rendered_in_training(finished, tools):
    again = measures.samples(finished.run, tools, evaluate._trained(finished.run, tools))
    was = [row for row in finished.run.rows("samples_made") if row["step"] == 4]
    assert len(was) == len(again) == 2
    for one, other in zip(again, was, strict=True):
        assert (one["prompt"], one["seed"]) == (other["prompt"], other["seed"])
        apart = imaging.decode(one["png"]).pixels.astype(int) - imaging.decode(other["png"]).pixels
        assert np.abs(apart).max() <= 1


def test_scores_are_those_of_the_metric(finished, tools):
    painted = [row for row in finished.run.rows("samples_made") if row["step"] == 4]
    references = [row for row in finished.run.rows("views") if row["split"] == "train" and row["view"] == 0]
    scores = {
        row["seed"]: row["value"]
        for row in measures.scores(finished.run, tools, painted, references)
        if row["metric"] == "clip_score"
    }
    pictures = [imaging.decode(row["png"]).pixels for row in painted]
    measured = clip_score.measure(pictures, [row["prompt"] for row in painted], clip="starter", device="cpu")
    assert [scores[row["seed"]] for row in painted] == pytest.approx(list(measured), abs=1e-3)
    assert measures.scores(finished.run, tools, [], references) == []


def test_losses_are_of_the_pictures_that_are_asked_for_on_their_own_side(finished, tools):
    pictures = [row for row in finished.run.rows("views") if row["view"] == 0]
    asked = [next(row for row in pictures if row["split"] == split) for split in ("train", "held_out")]
    rows = measures.losses(finished.run, tools, models.load_trainable("unet", models.locate("starter")), asked)
    assert {(row["sample_id"], row["split"]) for row in rows} == {(row["sample_id"], row["split"]) for row in asked}
    evaluation = evaluate.Evaluation(finished.run, tools, finished.training)
    was = {(row["sample_id"], row["timestep"]): row["loss"] for row in evaluation.rows("losses") if row["step"] == 0}
    for row in rows:
        assert row["loss"] == pytest.approx(was[row["sample_id"], row["timestep"]], rel=1e-4)


def test_the_schedule_is_the_recipes(further):
    assert measures.load_scheduler(further().run).config.num_train_timesteps == 1000
