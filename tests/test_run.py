import json
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from pipeline.errors import RecipeError, WorkspaceError
from pipeline.recipe import parse
from pipeline.run import PACKAGES, Run
from pipeline.stage import StageStat, Tools
from pipeline.workspace import Workspace

RECIPE = parse({"name": "toys", "sources": [{"path": "photos", "class": "dog"}], "train": {"mixed_precision": "no"}})


@pytest.fixture
def workspace(tmp_path):
    return Workspace.create(tmp_path / "w")


@pytest.fixture
def run(workspace):
    return Run.create(workspace, RECIPE, command="gesso run toys.yaml")


def test_a_run_opens_again_with_its_recipe(workspace, run):
    assert Run.open(workspace, run.id) == run
    assert run.folder == workspace.runs / run.id


def test_a_run_says_what_it_ran_on(run):
    facts = run.json("run")
    assert facts["command"] == "gesso run toys.yaml"
    assert facts["recipe"] == RECIPE.digest
    assert set(facts["versions"]) == {"python", "gesso", *PACKAGES}
    assert "not installed" not in facts["versions"].values()


def test_runs_sort_by_time_and_never_share_a_folder(workspace):
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: Run.create(workspace, RECIPE, command=""), range(12)))
    assert len({run.id for run in runs}) == 12
    later = Run.create(workspace, RECIPE, command="")
    assert later.id > max(run.id for run in runs)


def test_a_run_that_is_not_there_names_those_that_are(workspace, run):
    with pytest.raises(WorkspaceError, match=rf"--run: .*'nowhere'.*{run.id}"):
        Run.open(workspace, "nowhere")
    with pytest.raises(WorkspaceError, match="There are: none"):
        Run.open(Workspace.create(workspace.root.parent / "other"), run.id)


def test_a_recipe_of_another_time_is_told_as_a_recipes_error(workspace, run):
    (run.folder / "recipe.yaml").write_text("name: toys\nsources: [{path: photos}]\nmagic: true\n")
    with pytest.raises(RecipeError, match="magic"):
        Run.open(workspace, run.id)


def test_tables_and_facts_come_back(run):
    assert run.rows("kept") == []
    assert run.json("facts") == {}
    run.save("kept", pa.table({"a": [1, None], "b": ["x", "ü"]}))
    run.save_json("facts", {"n": 1.5, "text": "ü"})
    assert run.rows("kept") == [{"a": 1, "b": "x"}, {"a": None, "b": "ü"}]
    assert run.json("facts") == {"n": 1.5, "text": "ü"}
    run.save_json("facts", {})
    assert run.json("facts") == {}


def test_what_the_stages_did_is_recorded_once_each(run):
    tools = Tools(run.workspace)
    assert run.stats() == []
    first, second = StageStat("measure", 10, 990, 1.5, 200.0), StageStat("edges", 0, 5, 0.1, 201.0)
    tools.stats.append(first)
    run.record(tools)
    assert tools.stats == []
    tools.stats.append(second)
    run.record(tools)
    run.record(tools)
    assert run.stats() == [first, second]
    assert [json.loads(line)["name"] for line in (run.folder / "stages.jsonl").read_text().splitlines()] == [
        "measure",
        "edges",
    ]
