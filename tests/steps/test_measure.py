import pytest

from pipeline import imaging, plugins
from pipeline.errors import RecipeError
from pipeline.recipe import parse
from pipeline.scorers import sharpness
from pipeline.steps import measure


def recipe(**scorers):
    return parse({"name": "x", "sources": [{"path": "p"}], "scorers": scorers})


def test_every_content_is_measured_once_by_every_scorer(finished):
    samples = finished.run.rows("samples")
    assert len(samples) == 13
    assert finished.stats["measure"].computed == 13
    assert finished.said["measure"] == "13 contents, 1 of them no pictures"
    columns = set(samples[0])
    for scorer, _ in measure.measurers(finished.run.recipe):
        assert set(scorer.ADDS.names) <= columns
    assert columns >= {"sample_id", "pixel_id", "error"}


def test_what_is_saved_is_what_the_scorer_measures(finished, pictures):
    row = finished.named("samples")["03.png"]
    shown = imaging.decode((pictures / "03.png").read_bytes())
    for name, value in sharpness.measure(shown, sharpness.Params()).items():
        assert row[name] == pytest.approx(value, rel=1e-6)
    assert row["resolution__short_side"] == 64
    assert row["pixel_id"] == row["canonical__pixel_id"]
    assert row["error"] is None


def test_what_is_no_picture_has_an_error_and_no_numbers(finished):
    row = finished.named("samples")["broken.png"]
    assert row["error"].startswith("not_a_picture")
    assert row["pixel_id"] is None
    assert row["sharpness__score"] is None


def test_measured_again_nothing_is_computed_and_all_is_the_same(finished, further):
    made = further().go("ingest", "measure")
    assert made.stats["measure"].computed == 0
    assert made.stats["measure"].cached == 13
    assert made.run.rows("samples") == finished.run.rows("samples")


def test_measurers_are_all_scorers_and_the_perceptual_hash():
    names = [module.__name__.rpartition(".")[2] for module, _ in measure.measurers(recipe())]
    assert names == [*plugins.load_all("scorers"), "perceptual"]


def test_an_unknown_scorer_is_refused_with_the_nearest():
    with pytest.raises(RecipeError, match="sharpness") as caught:
        measure.measurers(recipe(sharpnes={}))
    assert caught.value.field == "scorers.sharpnes"


def test_an_unknown_parameter_is_refused_with_those_there_are():
    with pytest.raises(RecipeError) as caught:
        measure.measurers(recipe(sharpness={"nonsense": 3}))
    assert caught.value.field == "scorers.sharpness.nonsense"
    for name in sharpness.Params.model_fields:
        assert name in str(caught.value)
