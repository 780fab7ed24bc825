import pytest

from flows.cli.options import load, open_run
from pipeline.errors import RecipeError, WorkspaceError
from pipeline.workspace import Workspace


def test_a_recipe_is_loaded_with_its_settings_and_checked(recipe):
    assert load(recipe(), ("train.steps=7",)).train.steps == 7
    with pytest.raises(RecipeError, match=r"train\.method"):
        load(recipe(), ("train.method=none",))


def test_the_latest_run_is_opened_unless_another_is_named(finished, done_run):
    assert open_run(finished / "w", None) == done_run
    assert open_run(finished / "w", done_run.id) == done_run


def test_a_workspace_without_a_ledger_is_told(tmp_path):
    Workspace.create(tmp_path / "w")
    with pytest.raises(WorkspaceError, match="gesso prepare RECIPE"):
        open_run(tmp_path / "w", None)
