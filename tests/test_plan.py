import importlib

import pytest

from pipeline import plan
from pipeline.errors import InputError, ModelError, RecipeError
from pipeline.recipe import parse
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.workspace import Workspace


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "pictures").mkdir()
    return lambda **changes: parse({"name": "x", "sources": [{"path": str(tmp_path / "pictures")}], **changes})


def test_every_step_of_the_plan_is_a_module_that_runs():
    assert len(set(plan.ALL_STEPS)) == len(plan.ALL_STEPS)
    for step in plan.ALL_STEPS:
        assert callable(importlib.import_module(f"pipeline.steps.{step}").run)


def test_what_a_step_did_is_recorded_even_when_it_fails(recipe, tmp_path):
    run = Run.create(Workspace.create(tmp_path / "w"), recipe(), command="a test")
    tools = Tools(run.workspace)
    with pytest.raises(InputError, match="no files here"):
        plan.do(run, "ingest", tools)
    (tmp_path / "pictures" / "x.png").write_bytes(b"no picture")
    assert plan.do(run, "ingest", tools) == "1 files, 0 unreadable"
    assert [stat.name for stat in run.stats()] == ["ingest"]
    assert tools.stats == []


def test_a_good_recipe_passes(recipe):
    plan.check(recipe(select={"sharpness__score": {"min": 0.1}, "canonical__width": {"min": 8}}))


@pytest.mark.parametrize(
    ("column", "nearest"),
    [("sharpnes__score", "sharpness__score"), ("resolution__shortside", "resolution__short_side")],
)
def test_an_unknown_column_is_told_with_the_nearest(recipe, column, nearest):
    with pytest.raises(RecipeError) as caught:
        plan.check(recipe(select={column: {"min": 0.1}}))
    assert caught.value.field == f"select.{column}"
    assert nearest in caught.value.remedy


def test_a_column_like_no_other_is_told_where_to_look(recipe):
    with pytest.raises(RecipeError, match="gesso list scorers"):
        plan.check(recipe(select={"qqq": {"min": 0.1}}))


def test_models_are_only_asked_of_the_steps_that_need_them(recipe):
    missing = recipe(base_model={"id": "some/model-that-is-not-there"})
    plan.check(missing)  # may be on the hub, which is not asked yet
    plan.check_all(missing, plan.STEPS["prepare"])
    with pytest.raises(ModelError, match="hub cannot be reached"):
        plan.check_all(missing, ["trainset"])


def test_a_clip_is_only_needed_where_samples_are_made(recipe):
    plan.check(recipe(evaluate={"clip": "./none"}))
    with pytest.raises(ModelError, match=r"evaluate\.clip"):
        plan.check(recipe(evaluate={"clip": "./none", "prompts": ["a dog"]}))


def test_the_cheapest_mistake_is_told_first():
    nonsense = {"views": 2, "transforms": [{"Nonsense": {}}]}
    with pytest.raises(InputError, match=r"sources\.0\.path"):
        plan.check_all(parse({"name": "x", "sources": [{"path": "nowhere"}], "augment": nonsense}))
