"""Commands that take a recipe through its steps."""

import json

from flows.cli import chain
from pipeline import plan


def test_the_steps_of_prepare_are_those_of_the_plan():
    assert plan.STEPS["prepare"] == chain.UNTIL


def test_plan_tells_a_person_and_a_script_and_changes_nothing(gesso, recipe, tree, tmp_path):
    path = recipe()
    before = tree(tmp_path)
    assert "ingest           0  7" in gesso("plan", path).stdout
    found = json.loads(gesso("plan", path, "-w", "w", "--json").stdout)
    assert found["files"] == 7
    assert found["stages"][0] == {"stage": "ingest", "cached": 0, "missing": 7, "exact": True}
    assert tree(tmp_path) == before


def test_plan_after_the_whole_chain_has_nothing_left_to_do(copied, gesso, tree):
    before = tree(copied)
    found = json.loads(gesso("plan", "recipe.yaml", "-w", "w", "--json").stdout)
    assert {one["stage"]: (one["missing"], one["exact"]) for one in found["stages"]} == dict.fromkeys(
        ("ingest", "measure", "caption", "latents", "texts", "train"), (0, True)
    )
    assert tree(copied) == before


def test_a_run_remembers_what_was_typed(done_run, monkeypatch):
    monkeypatch.setattr(chain.sys, "argv", ["/somewhere/gesso", "run", "my recipe.yaml"])
    assert chain._command() == "gesso run 'my recipe.yaml'"


def test_prepare_knows_no_step_after_its_own(gesso, recipe):
    done = gesso("prepare", recipe(), "--until", "train")
    assert done.exit_code == 2
    assert "'ingest', 'measure', 'select', 'caption'" in done.stderr
