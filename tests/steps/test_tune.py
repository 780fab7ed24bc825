"""A search over a small training set: what it tries, prunes, survives and leaves."""

import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import yaml

from pipeline.errors import RecipeError
from pipeline.recipe import parse
from pipeline.run import Run
from pipeline.steps.study import CUT_OFF, Study

EARLIER = ("ingest", "measure", "select", "caption", "review", "trainset")
TRAIN = {"steps": 3, "batch_size": 2, "learning_rate": 1e-3, "rank": 2}
SEARCH = {
    "trials": 6,
    "every": 1,
    "startup": 2,
    "ranges": {"train.learning_rate": {"choices": [1e-4, 1e-3, 2e-3, 5.0]}, "train.rank": {"choices": [2, 3]}},
}
KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline import plan
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.steps import trial
from pipeline.workspace import Workspace

workspace = Workspace.open(Path(sys.argv[1]))
attempt, tried = trial.attempt, []

def counted(*given):
    tried.append(1)
    return attempt(*given)

def progress(name, done, *_):
    if len(tried) == 2 and name == "train" and done == 2:  # in the middle of the second trial
        os.kill(os.getpid(), signal.SIGKILL)

trial.attempt = counted
plan.do(Run.open(workspace, sys.argv[2]), "tune", Tools(workspace, progress=progress))
"""


def study(made):
    folder = next((made.run.workspace.root / "tunings").iterdir())
    return folder, Study.open(folder, made.run.recipe.tune)


def done(study):
    return [(one.params, one.state.name, one.value) for one in study.ended]


def go_on(made, **changes):
    """A search again in the same workspace, as another call of the command makes it."""
    recipe = made.run.recipe
    again = replace(made.run, recipe=recipe.model_copy(update={"tune": recipe.tune.model_copy(update=changes)}))
    return type(made)(again).go("tune")


@pytest.fixture(scope="module")
def small(elsewhere):
    """Begins a run with a search, its training set done."""

    def begin(**changes):
        more = {"train": TRAIN, "tune": {**SEARCH, **changes.pop("tune", {})}, "augment": {}, **changes}
        return elsewhere(**more).go(*EARLIER)

    return begin


@pytest.fixture(scope="module")
def searched(small):
    return small().go("tune")


def test_a_bad_value_is_pruned_or_worst_and_never_wins(searched):
    found = done(study(searched)[1])
    assert len(found) == 6
    assert ("PRUNED", 5.0) in {(state, params["train.learning_rate"]) for params, state, _ in found}
    best = searched.run.json("tuning")["best"]
    assert best["settings"]["train.learning_rate"] < 5.0
    assert best["value"] == min(value for _, state, value in found if state == "COMPLETE")
    pruned = [one for one in study(searched)[1].ended if one.state.name == "PRUNED"]
    assert all("above the median" in one.user_attrs["reason"] for one in pruned)


def test_the_best_recipe_reads_back_and_finds_its_training_done(searched):
    folder, _ = study(searched)
    text = (folder / "best.yaml").read_text()
    winner = parse(yaml.safe_load(text))
    best = searched.run.json("tuning")["best"]
    assert text.startswith("# The best of 6 trials of the study small-")
    assert not winner.tune.ranges
    run = type(searched)(Run.create(searched.run.workspace, winner, command="a test")).go(*EARLIER, "train")
    assert run.run.json("training")["folder"] == best["training"]
    assert run.stats["train"].computed == 0


def test_weights_stay_of_the_best_three_alone(searched):
    _, found = study(searched)
    trainings = searched.run.workspace.root / "trainings"
    kept = {one.parent.name for one in trainings.glob("*/weights")}
    assert kept == {one.user_attrs["training"] for one in found.best[:3]}
    assert {one.parent.name for one in trainings.glob("*/checkpoints")} == kept


def test_every_trial_writes_tensorboards_events(searched):
    for one in study(searched)[1].ended:
        folder = searched.run.workspace.root / "trainings" / one.user_attrs["training"] / "tensorboard"
        assert list(folder.glob("events.out.tfevents.*"))


def test_the_report_shows_the_study(searched):
    page = (study(searched)[0] / "report.html").read_text()
    assert all(words in page for words in ("Course of the search", "learning_rate", "The best side by side", "pruned"))
    assert "http://" not in page
    assert page.count('class="sample zoom') >= 2 * 2  # base model and one trial at least, two seeds


def test_asked_again_it_does_nothing_and_for_more_trials_only_those(searched):
    before = done(study(searched)[1])
    assert done(study(go_on(searched))[1]) == before
    more = go_on(searched, trials=7)
    assert done(study(more)[1])[:-1] == before
    assert len(done(study(more)[1])) == 7


@pytest.mark.slow
def test_a_search_that_was_killed_goes_on_and_ends_as_one_that_was_not(small):
    whole, cut = (small(tune={"trials": 3}) for _ in range(2))
    whole.go("tune")
    words = [sys.executable, "-c", KILLED, str(cut.run.workspace.root), cut.run.id]
    assert subprocess.run(words, check=False, capture_output=True).returncode == -signal.SIGKILL
    cut.go("tune")
    assert done(study(cut)[1]) == done(study(whole)[1])
    assert [CUT_OFF in one.user_attrs for one in study(cut)[1].inner.trials] == [False, True, False, False]


def test_settings_that_do_not_go_together_fail_their_trial_and_no_other(small):
    ranges = {"train.target_blocks": {"choices": [["mid_block"], ["no_such_block"]]}}
    found = done(study(small(tune={"ranges": ranges, "trials": 4}).go("tune"))[1])
    assert {(params["train.target_blocks"], state) for params, state, _ in found} >= {
        ('["no_such_block"]', "FAIL"),
        ('["mid_block"]', "COMPLETE"),
    }


def test_without_ranges_held_out_pictures_or_a_unet_it_refuses(small):
    for changes, field in (({"tune": {"ranges": {}}}, "tune.ranges"), ({"split": {"held_out": 0.0}}, "split.held_out")):
        with pytest.raises(RecipeError) as error:
            small(**changes).go("tune")
        assert error.value.field == field
