"""What a recipe would do: held against what a run then does."""

import hashlib
import json
import os
import subprocess
import sys

import pytest

from pipeline import plan
from pipeline.outlook import look, words
from pipeline.recipe import parse
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.starter import collection
from pipeline.workspace import Workspace


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    collection.plain(folder, count=5)
    return folder


@pytest.fixture
def recipe(pictures):
    def make(**changes):
        source = {"path": str(pictures), "rights": {"license": "CC0-1.0"}}
        return parse({"name": "drawn", "sources": [source], "rights": {"allow": ["CC0-1.0"]}, **changes})

    return make


@pytest.fixture
def outlook(tmp_path):
    """Cached and missing by stage, without a trace on disk."""

    def look_(recipe):
        before = tree(tmp_path)
        found = look(recipe, tmp_path / "w")
        assert tree(tmp_path) == before
        assert json.loads(json.dumps(found)) == found
        return {one["stage"]: (one["cached"], one["missing"], one["exact"]) for one in found["stages"]}

    return look_


@pytest.fixture
def prepared(tmp_path):
    """Runs the steps of a recipe up to the captions; the run."""

    def run_(recipe):
        workspace = Workspace.create(tmp_path / "w")
        run = Run.create(workspace, recipe, command="a test")
        for step in plan.STEPS["prepare"]:
            plan.do(run, step, Tools(workspace))
        return run

    return run_


def tree(folder):
    return {
        path: (path.lstat().st_mtime_ns, hashlib.sha256(path.read_bytes()).digest() if path.is_file() else None)
        for path in folder.rglob("*")
    }


def test_before_the_first_run_everything_is_missing(recipe, outlook):
    assert outlook(recipe(augment={"views": 3})) == {
        "ingest": (0, 5, True),
        "measure": (0, 5, False),
        "caption": (None, 5, False),
        "latents": (None, 15, False),
        "texts": (None, 5, False),
        "train": (None, recipe().train.steps, False),
    }


def test_after_a_run_nothing_is_missing_that_it_did(recipe, outlook, prepared):
    run = prepared(recipe())
    kept = len(run.rows("kept"))
    assert outlook(recipe()) == {
        "ingest": (5, 0, True),
        "measure": (5, 0, True),
        "caption": (0, 0, True),  # all of them stand beside the files
        "latents": (None, kept, False),
        "texts": (None, kept, False),
        "train": (0, recipe().train.steps, True),
    }


def test_one_new_file_is_one_row(recipe, outlook, prepared, pictures):
    prepared(recipe())
    (pictures / "new.png").write_bytes((pictures / "00000.png").read_bytes() + b"more")
    found = outlook(recipe())
    assert found["ingest"] == (5, 1, True)
    assert found["measure"] == (5, 1, False)
    assert found["caption"] == (None, 6, False)
    assert {stat.name: stat.computed for stat in prepared(recipe()).stats()}["measure"] == 1
    assert outlook(recipe())["measure"] == (6, 0, True)


def test_a_changed_file_is_read_again(recipe, outlook, prepared, pictures):
    prepared(recipe())
    os.utime(pictures / "00001.png", (1, 1))
    assert outlook(recipe())["ingest"] == (4, 1, True)


def test_a_changed_threshold_measures_nothing(recipe, outlook, prepared):
    prepared(recipe())
    strict = recipe(select={"sharpness__score": {"min": 0.3}})
    assert outlook(strict)["measure"] == (5, 0, True)
    assert outlook(strict)["caption"] == (None, 5, False)
    stats = {stat.name: (stat.computed, stat.cached) for stat in prepared(strict).stats()}
    assert stats["measure"] == (0, 5)


def test_another_parameter_of_a_scorer_measures_all(recipe, outlook, prepared):
    prepared(recipe())
    other = recipe(scorers={"sharpness": {"reach": 7}})
    assert outlook(other)["measure"] == (0, 5, True)
    assert {stat.name: stat.computed for stat in prepared(other).stats()}["measure"] == 5


@pytest.mark.parametrize("what", ["a caption beside a picture", "a decision", "a picture taken away"])
def test_what_changed_since_the_run_makes_later_stages_unknown(what, recipe, outlook, prepared, pictures, tmp_path):
    prepared(recipe())
    assert outlook(recipe())["caption"][2]
    if what == "a caption beside a picture":
        (pictures / "00000.txt").write_text("another")
    elif what == "a decision":
        (tmp_path / "w" / "decisions").mkdir()
        (tmp_path / "w" / "decisions" / "me.jsonl").write_text("{}\n")
    else:
        (pictures / "00000.png").unlink()
    assert not outlook(recipe())["caption"][2]


def test_epochs_are_steps_at_most_until_the_training_set_is_there(recipe, tmp_path):
    made = recipe(train={"epochs": 2, "batch_size": 1})
    found = look(made, tmp_path / "nowhere")
    (train,) = [one for one in found["stages"] if one["stage"] == "train"]
    files = found["files"]
    assert not train["exact"]
    assert 2 * files <= train["missing"] <= 4 * files
    assert f"at most {train['missing']} steps (2 epochs)" in words(found)


def test_the_words_say_what_is_exact(recipe, tmp_path):
    told = words(look(recipe(), tmp_path / "w"))
    assert "drawn in " in told
    assert "ingest           0  5" in told
    assert "measure          0  at most 5" in told
    assert told.endswith("reading and measuring takes about 0.2 s; nothing was run")


def test_it_starts_no_heavy_import(recipe, pictures, tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from pipeline.outlook import look; from pipeline.recipe import parse\n"
        "look(parse({'name': 'x', 'sources': [{'path': sys.argv[1]}]}), Path('w'))\n"
        "print({'torch', 'albumentations', 'transformers', 'prefect'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, pictures], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
