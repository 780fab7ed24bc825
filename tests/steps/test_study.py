import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from pipeline.ranges import Range, Tune
from pipeline.steps import study
from pipeline.steps.study import AGAIN, CUT_OFF, TRAINING, Study

RANGES = {
    "train.learning_rate": {"low": 1e-5, "high": 1e-3, "log": True},
    "train.rank": {"choices": [4, 8, 16]},
}
TUNE = Tune.model_validate({"trials": 8, "startup": 3, "seed": 3, "ranges": RANGES})


def tried(folder, *, stops=()):
    """Eight trials whose value is how far the rate is from 1e-4; at `stops` the study is opened anew."""
    made, drawn = Study.open(folder, TUNE), []
    for number in range(TUNE.trials):
        if number in stops:
            made = Study.open(folder, TUNE)
        trial, settings = made.ask()
        drawn.append(settings)
        trial.set_user_attr(TRAINING, str(settings))
        made.inner.tell(trial, abs(settings["train.learning_rate"] / 1e-4 - 1))
    return made, drawn


def test_what_is_drawn_lies_in_its_range_and_does_not_hang_on_stops(tmp_path):
    made, drawn = tried(tmp_path / "a")
    assert tried(tmp_path / "b", stops=(1, 5))[1] == drawn
    assert all(1e-5 <= one["train.learning_rate"] <= 1e-3 and one["train.rank"] in (4, 8, 16) for one in drawn)
    values = [one.value for one in made.best]
    assert values == sorted(values)
    assert len(made.ended) == TUNE.trials


def test_a_trial_that_was_cut_off_is_done_again_with_its_values_and_counts_once(tmp_path):
    cut = Study.open(tmp_path, TUNE)
    _, asked = cut.ask()
    again = Study.open(tmp_path, TUNE)
    assert not again.ended
    trial, settings = again.ask()
    assert settings == asked
    again.inner.tell(trial, 0.5)
    first, second = again.inner.trials
    assert first.state == TrialState.FAIL
    assert CUT_OFF in first.user_attrs
    assert second.user_attrs[AGAIN] == first.number
    assert [one.number for one in again.ended] == [second.number]


def test_importance_needs_some_finished_trials_and_finds_what_decides(tmp_path):
    assert Study.open(tmp_path / "none", TUNE).importance() == {}
    found = tried(tmp_path / "some")[0].importance()
    assert found["train.learning_rate"] > found.get("train.rank", 0.0)


@pytest.mark.parametrize(
    ("path", "range_", "wanted"),
    [
        ("train.learning_rate", {"low": 0.1, "high": 0.5}, FloatDistribution(0.1, 0.5)),
        ("train.rank", {"low": 2, "high": 8, "step": 2}, IntDistribution(2, 8, step=2)),
        ("train.optimizer", {"choices": ["adamw", "sgd"]}, CategoricalDistribution(["adamw", "sgd"])),
    ],
)
def test_ranges_are_optunas_distributions(path, range_, wanted):
    assert study.distribution(path, Range.model_validate(range_)) == wanted
