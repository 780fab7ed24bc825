import numpy as np
import pytest

from pipeline import imaging, models
from pipeline.metrics import clip_image, clip_score, stable_loss
from pipeline.stage import Tools
from pipeline.steps import evaluate, measures
from pipeline.steps.evaluation import Evaluation

BEFORE = ("ingest", "measure", "select", "caption", "review", "trainset", "train")


@pytest.fixture
def tools(finished):
    return Tools(finished.run.workspace, workers=1)


def test_weights_read_back_render_what_they_rendered_in_training(finished, tools):
    was = [row for row in finished.run.rows("samples_made") if row["step"] == 4]
    weights = finished.training / finished.run.json("training")["weights"]
    again = measures.samples(finished.run, tools, evaluate.trained(finished.run, tools, weights), was)
    assert len(was) == 2
    for one, other in zip(again, was, strict=True):
        apart = imaging.decode(one["samples__png"]).pixels.astype(int) - imaging.decode(other["png"]).pixels
        assert np.abs(apart).max() <= 1


def test_scores_are_those_of_the_metric(finished, tools):
    painted = [row for row in finished.run.rows("samples_made") if row["step"] == 4]
    references = [row for row in finished.run.rows("views") if row["split"] == "train" and row["view"] == 0]
    scores = measures.scores(finished.run, tools, painted, references)
    pictures = [imaging.decode(row["png"]).pixels for row in painted]
    by_prompt = clip_score.measure(pictures, [row["prompt"] for row in painted], clip="starter", device="cpu")
    assert [row["scores__clip_score"] for row in scores] == pytest.approx(list(by_prompt), abs=1e-3)
    originals = [imaging.decode(tools.read(row["sample_id"])).pixels for row in references]
    by_picture = clip_image.measure(pictures, originals, clip="starter", device="cpu")
    assert [row["scores__clip_image"] for row in scores] == pytest.approx(list(by_picture), abs=1e-3)


def test_losses_are_of_the_pictures_that_are_asked_for_each_on_its_own_side(finished, tools):
    pictures = [row for row in finished.run.rows("views") if row["view"] == 0]
    asked = [next(row for row in pictures if row["split"] == split) for split in ("held_out", "train")]
    rows = measures.losses(finished.run, tools, models.load_painter("starter"), asked)
    found = {
        (picture["sample_id"], timestep): loss
        for picture, row in zip(asked, rows, strict=True)
        for timestep, loss in zip(row["losses__timesteps"], row["losses__losses"], strict=True)
    }
    evaluation = Evaluation(finished.run, tools, finished.training)
    was = {(row["sample_id"], row["timestep"]): row["loss"] for row in evaluation.rows("losses") if row["step"] == 0}
    assert len(found) == 2 * len(stable_loss.TIMESTEPS)
    assert found == pytest.approx({key: was[key] for key in found}, rel=1e-4)


def test_the_schedule_is_the_recipes(further):
    assert measures.load_scheduler(further().run).config.num_train_timesteps == 1000
