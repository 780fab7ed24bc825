"""The trials of a search, kept by Optuna in a SQLite file: what is tried next, and what came of what was tried.

Each trial gets a sampler of its own, seeded by the recipe and the trial's place, so that what it draws hangs on the
trials before it alone, and not on how often the study was stopped between.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import URL

from pipeline import ranges
from pipeline.manifest import digest
from pipeline.ranges import Range, Tune

CUT_OFF, AGAIN, REASON, TRAINING, FOUND = "cut off", "again", "reason", "training", "found"
"""What is noted of a trial: that a stop ended it, which one it repeats, why it failed, the folder of its training, and
whether that was there before the study."""


@dataclass(frozen=True)
class Study:
    """A search in the SQLite file of a folder; it goes on where it was left."""

    inner: optuna.Study
    tune: Tune

    @classmethod
    def open(cls, folder: Path, tune: Tune) -> "Study":
        """Open the study, or begin it. A trial that a kill cut off is put first in line, with the same values.

        Nobody else may work on it: the workspace has to be held.
        """
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        folder.mkdir(parents=True, exist_ok=True)
        address = URL.create("sqlite", database=str((folder / "study.db").resolve()))
        inner = optuna.create_study(
            storage=RDBStorage(address.render_as_string().replace("{", "{{").replace("}", "}}")),  # it is a template
            study_name="gesso",
            direction="minimize",
            pruner=optuna.pruners.MedianPruner(n_startup_trials=tune.startup, n_warmup_steps=0),
            load_if_exists=True,
        )
        study = cls(inner, tune)
        for trial in inner.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            optuna.Trial(inner, trial._trial_id).set_user_attr(CUT_OFF, value=True)  # noqa: SLF001 (no public way)
            inner.tell(trial.number, state=TrialState.FAIL)
        trials = inner.get_trials(deepcopy=False)
        repeated = {one.user_attrs.get(AGAIN) for one in trials}
        for trial in trials:
            if CUT_OFF in trial.user_attrs and trial.number not in repeated and len(trial.params) == len(tune.ranges):
                inner.enqueue_trial(trial.params, user_attrs={AGAIN: trial.number})
        return study

    @property
    def ended(self) -> list[FrozenTrial]:
        """The trials that came to an end of their own: finished, pruned or failed."""
        states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
        return [one for one in self.inner.get_trials(states=states) if CUT_OFF not in one.user_attrs]

    @property
    def best(self) -> list[FrozenTrial]:
        """The finished trials, the best first; of those that asked for the same training, the first."""
        found: dict[str, FrozenTrial] = {}
        for one in self.ended:
            if one.state == TrialState.COMPLETE:
                found.setdefault(one.user_attrs[TRAINING], one)
        return sorted(found.values(), key=lambda one: (one.value or 0.0, one.number))

    def ask(self) -> tuple[optuna.Trial, dict[str, Any]]:
        """The next trial and its settings, by path."""
        place = int(digest([self.tune.seed, len(self.ended)])[:8], 16)
        self.inner.sampler = optuna.samplers.TPESampler(seed=place, n_startup_trials=self.tune.startup)
        asked = {path: distribution(path, range_) for path, range_ in sorted(self.tune.ranges.items())}
        trial = self.inner.ask(asked)
        return trial, self.settings(trial.params)

    def settings(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """What a trial drew, as settings."""
        return {path: _setting(path, self.tune.ranges[path], drawn) for path, drawn in sorted(params.items())}

    def importance(self) -> dict[str, float]:
        """Each range's share in what tells the better trials from the rest (PED-ANOVA); empty where too few finished.

        Two finished trials tell nothing; the evaluator asks for more than that, and for ranges that were used.
        """
        if len([one for one in self.ended if one.state == TrialState.COMPLETE]) < 4:
            return {}
        if len(self.tune.ranges) == 1:
            return dict.fromkeys(self.tune.ranges, 1.0)
        found = get_param_importances(self.inner, evaluator=PedAnovaImportanceEvaluator())
        return {path: share for path, share in found.items() if not math.isnan(share)}


def distribution(path: str, range_: Range) -> BaseDistribution:
    """A range as Optuna knows it; choices that are no plain values stand as JSON."""
    if range_.choices:
        return CategoricalDistribution([_choice(path, one) for one in range_.choices])
    low, high = range_.low or 0.0, range_.high or 0.0
    if ranges.is_whole(path):
        return IntDistribution(round(low), round(high), log=range_.log, step=round(range_.step or 1))
    return FloatDistribution(low, high, log=range_.log, step=range_.step)


def _choice(path: str, given: Any) -> Any:  # noqa: ANN401 (whatever the setting holds)
    held = ranges.value(path, given)
    return held if held is None or isinstance(held, str | int | float | bool) else json.dumps(held)


def _setting(path: str, range_: Range, drawn: Any) -> Any:  # noqa: ANN401
    """What Optuna drew, as the setting's value."""
    known = {repr(_choice(path, one)): one for one in range_.choices}
    held = ranges.value(path, known.get(repr(drawn), drawn))
    return list(held) if isinstance(held, tuple) else held
