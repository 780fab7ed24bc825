"""A user's mistake: exit 2, one message with field, value and remedy, no traceback, nothing changed on disk."""

import os
import subprocess
import sys
import time

import pytest

MISTAKES = {
    "an unknown key": ({"buckest": {"resolution": 64}}, [], "buckest", "Did you mean 'buckets'?"),
    "an unknown key below": ({"train": {"step": 5}}, [], "train.step", "Did you mean 'steps'?"),
    "a wrong type": ({"train": {"steps": "many"}}, [], "train.steps", "many"),
    "out of range": ({"split": {"held_out": 0.9}}, [], "split.held_out", "0 to 0.5"),
    "an unknown column": (
        {"select": {"sharpnes__score": {"min": 0.1}}},
        [],
        "select.sharpnes__score",
        "'sharpness__score'",
    ),
    "an unknown scorer": ({"scorers": {"sharpnes": {}}}, [], "scorers.sharpnes", "Did you mean 'sharpness'?"),
    "a scorer's parameter": ({"scorers": {"sharpness": {"reech": 3}}}, [], "scorers.sharpness.reech", "reach"),
    "an unknown captioner": ({"caption": {"captioner": "blipp"}}, [], "caption.captioner", "Did you mean 'blip'?"),
    "a captioner's parameter": ({"caption": {"params": {"beams": 3}}}, [], "caption.params.beams", "beams"),
    "an unknown method": ({"train": {"method": "lorra"}}, [], "train.method", "Did you mean 'lora'?"),
    "an unknown transform": (
        {"augment": {"views": 2, "transforms": [{"HorizontalFlop": {"p": 0.5}}]}},
        [],
        "augment.transforms.0",
        "Did you mean 'HorizontalFlip'?",
    ),
    "a missing folder": ({}, ["--set", "sources.0.path=nowhere"], "sources.0.path", "--set sources.0.path=FOLDER"),
    "a missing model": (
        {"base_model": {"id": "./models/none"}},
        [],
        "base_model.id",
        "Mend the path, or name a hub id.",
    ),
    "a model out of reach": ({"base_model": {"id": "some/model"}}, [], "base_model.id", "hf download some/model"),
    "a missing captioner's model": (
        {"caption": {"captioner": "blip", "model": "./none"}},
        [],
        "caption.model",
        "Mend the path",
    ),
    "a missing CLIP": ({"evaluate": {"prompts": ["a dog"], "clip": "./none"}}, [], "evaluate.clip", "Mend the path"),
    "a setting without a value": ({}, ["--set", "train.steps"], "--set", "--set train.steps=200"),
    "a setting of no item": ({}, ["--set", "sources.3.path=x"], "--set", "counted from 0"),
    "a setting that is no YAML": ({}, ["--set", "train.steps=[1"], "--set", "--set train.steps=200"),
    "a setting of a wrong type": ({}, ["--set", "train.steps=few"], "train.steps", "few"),
    "a setting of an unknown key": ({}, ["--set", "train.stesp=3"], "train.stesp", "Did you mean 'steps'?"),
}


def is_one_message(done, *parts):
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.startswith("gesso: ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in done.stderr


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_recipe(mistake, recipe, gesso, tree, tmp_path):
    changes, words, field, remedy = MISTAKES[mistake]
    path = recipe(**changes)
    before = tree(tmp_path)
    is_one_message(gesso("run", path, *words), field, remedy)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("mistake", ["an unknown column", "a missing folder", "a missing model", "an unknown method"])
@pytest.mark.parametrize("command", ["plan", "serve"])
def test_other_commands_tell_it_too(command, mistake, recipe, gesso, tree, tmp_path):
    changes, words, field, remedy = MISTAKES[mistake]
    path = recipe(**changes)
    before = tree(tmp_path)
    is_one_message(gesso(command, path, *words, *(["--every", "5"] if command == "serve" else [])), field, remedy)
    assert tree(tmp_path) == before


def test_no_recipe(gesso, tmp_path):
    is_one_message(gesso("run", "none.yaml"), "RECIPE", "none.yaml", "Name a YAML file")
    (tmp_path / "broken.yaml").write_text("name: [")
    is_one_message(gesso("run", "broken.yaml"), "broken.yaml", "no YAML")
    is_one_message(gesso("run", tmp_path), "RECIPE", "Name a YAML file")
    (tmp_path / "list.yaml").write_text("- a")
    is_one_message(gesso("run", "list.yaml"), "mapping")


def test_a_workspace_that_cannot_be_one(recipe, gesso, tree, tmp_path):
    path = recipe()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    before = tree(tmp_path)
    for place, remedy in [
        ("file", "Choose a folder"),
        ("file/below", "Choose a folder"),
        ("other", "Name a new folder"),
    ]:
        is_one_message(gesso("prepare", path, "-w", place, "--engine", "plain"), "--workspace", place, remedy)
    assert tree(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_workspace_that_cannot_be_written(recipe, gesso, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    place = tmp_path / "locked" / "w"
    is_one_message(gesso("prepare", recipe(), "-w", place, "--engine", "plain"), "--workspace", "Choose a folder")


@pytest.mark.parametrize(
    "words",
    [["ledger"], ["report"], ["show", "x.png"], ["review", "export"], ["review", "apply", "x.csv"]],
    ids=lambda words: words[0],
)
def test_a_folder_that_is_no_workspace(words, gesso, tree, tmp_path):
    place = tmp_path / "none"
    command = [*words[:2], place, *words[2:]] if words[0] == "review" else [words[0], place, *words[1:]]
    is_one_message(gesso(*command), "none", "Run `gesso run RECIPE` first")
    assert tree(tmp_path) == {}


def test_a_run_that_is_not_there(recipe, gesso, tree, tmp_path):
    assert gesso("prepare", recipe(), "-w", "w", "--engine", "plain", "--until", "select").exit_code == 0
    (run,) = (tmp_path / "w" / "runs").iterdir()
    before = tree(tmp_path)
    is_one_message(gesso("ledger", "w", "--run", "nonsense"), "--run", "nonsense", run.name)
    is_one_message(gesso("show", "w", "nonsense"), "SAMPLE_ID_OR_PATH", "nonsense", "gesso ledger")
    is_one_message(gesso("show", "w", ""), "SAMPLE_ID_OR_PATH")
    assert tree(tmp_path) == before


def test_an_empty_folder(recipe, gesso, tmp_path):
    (tmp_path / "empty").mkdir()
    done = gesso("prepare", recipe(), "--set", "sources.0.path=empty", "-w", "w", "--engine", "plain")
    assert done.exit_code == 2
    assert "sources: there are no files here" in done.stderr
    assert "Traceback" not in done.output


def test_usage(gesso, recipe):
    for words in (["run"], ["prepare", recipe(), "--until", "nonsense"], ["ledger", "w", "--state", "nonsense"]):
        assert gesso(*words).exit_code == 2
    done = gesso("serve", recipe())
    assert done.exit_code == 2
    assert "--cron" in done.stderr
    assert gesso("serve", recipe(), "--cron", "0 3 * * *", "--every", "5").exit_code == 2


def test_a_mistake_is_told_within_seconds_and_without_torch(recipe, tmp_path):
    path = recipe(**MISTAKES["an unknown column"][0])
    code = (
        "import sys\n"
        "from flows.cli.gesso import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as done: print(done.code, sorted({'torch', 'prefect', 'albumentations'} & set(sys.modules)))"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code, "run", path], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "2 []\n"
    assert time.monotonic() - began < 10
