"""Commands that take a recipe through its steps."""

import json

import pytest

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
    assert chain.command_line() == "gesso run 'my recipe.yaml'"


def test_prepare_knows_no_step_after_its_own(gesso, recipe):
    done = gesso("prepare", recipe(), "--until", "train")
    assert done.exit_code == 2
    assert "'ingest', 'measure', 'select', 'caption'" in done.stderr


@pytest.mark.parametrize("command", ["run", "prepare", "train", "evaluate"])
def test_a_run_for_a_script_is_one_object_and_nothing_else(command, copied, gesso):
    done = gesso(command, "recipe.yaml", "-w", "w", "--engine", "plain", "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["exit_code"], found["files"]["kept"]) == (0, 0, 6)
    assert (found["weights"] is None) == (command == "prepare")
    assert (copied / found["report"]).exists()


def test_a_run_that_waits_or_fails_tells_a_script_too(gesso, recipe, pictures):
    path = recipe(review={"require": "all"}, evaluate={})
    waiting = gesso("train", path, "-w", "w", "--engine", "plain", "--json")
    found = json.loads(waiting.stdout)
    assert (waiting.exit_code, found["exit_code"], found["step"]) == (3, 3, "review")
    assert found["message"].startswith("6 of 6 captions wait")
    for one in pictures.iterdir():
        one.unlink()
    failed = gesso("train", path, "-w", "w", "--engine", "plain", "--json")
    assert json.loads(failed.stdout)["exit_code"] == failed.exit_code == 2


def test_verbose_shows_the_log_on_standard_error_alone(gesso, recipe):
    words = ("prepare", recipe(), "--engine", "plain", "--until", "measure", "--json")
    quiet, loud = gesso(*words, "-w", "w"), gesso(*words, "-w", "w2", "-v")
    assert json.loads(quiet.stdout)["files"] == json.loads(loud.stdout)["files"] == {}
    assert "measure: shard 1 of 1" in loud.stderr
    assert "shard" not in quiet.stderr


def test_plan_finds_a_wrong_transform(gesso, recipe):
    done = gesso("plan", recipe(augment={"views": 2, "transforms": [{"HorizontalFlop": {}}]}))
    assert done.exit_code == 2
    assert "Did you mean 'HorizontalFlip'?" in done.stderr
