"""One trial of a search: a training like any other, judged by its held-out loss, and left where it does badly."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch

from pipeline import atomic, bootstrap, ranges, recipe
from pipeline.errors import GessoError, WorkspaceError
from pipeline.manifest import Row
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.steps import evaluate, train
from pipeline.steps.evaluation import Evaluation
from pipeline.steps.study import FOUND, REASON, TRAINING, Study


@dataclass(frozen=True)
class Value:
    """The held-out loss over the base model's, below 1 is better, and its 95 % interval where there is one."""

    ratio: float
    low: float | None
    high: float | None


def asked(run: Run, settings: Mapping[str, Any], *, every: int = 0) -> Run:
    """A run in the same folder that asks for the training with these settings, and looks at it every so many steps.

    Raises:
        RecipeError: the settings do not go together.
    """
    whole = run.recipe.model_dump(mode="json", by_alias=True)
    whole["train"] = ranges.apply(run.recipe.train, settings)
    if every:
        whole["train"]["checkpoint_every"] = every
        whole["evaluate"] |= {"every": every, "prompts": []}  # pictures are for the best alone
    return replace(run, recipe=recipe.parse(whole))


def measured(losses: list[Row], step: int) -> Value | None:
    """What the held-out losses say of a step; None where they are not there."""
    by_picture: dict[str, dict[int, list[float]]] = {}
    for row in losses:
        if row["split"] == "held_out" and row["step"] in (0, step):
            by_picture.setdefault(row["sample_id"], {}).setdefault(row["step"], []).append(row["loss"])
    pairs = [(np.mean(one[0]), np.mean(one[step])) for one in by_picture.values() if 0 in one and step in one]
    if not pairs:
        return None
    before, after = ([float(one) for one in side] for side in zip(*pairs, strict=True))
    base, change = float(np.mean(before)), bootstrap.paired(before, after)
    low, high = (None if one is None else 1 + one / base for one in (change.low, change.high))
    return Value(1 + change.difference / base, low, high)


def attempt(run: Run, study: Study, every: int, tools: Tools) -> str:
    """Do the next trial and tell the study what came of it; says so in a line.

    Errors of the training (a loss that explodes, settings that do not go together, memory that is not enough) fail the
    trial. Those of the workspace and its disk end the study.
    """
    trial, settings = study.ask()
    drawn = ", ".join(f"{ranges.name(path)} {_said(one)}" for path, one in settings.items())
    words = f"trial {len(study.ended) + 1} of {study.tune.trials} ({drawn})"
    try:
        at = asked(run, settings, every=every)
        known = {one.user_attrs.get(TRAINING) for one in study.inner.get_trials(deepcopy=False)}
        trial.set_user_attr(FOUND, at.training.exists() and at.training.name not in known)
        trial.set_user_attr(TRAINING, at.training.name)
        value = _judged(at, trial, tools)
    except optuna.TrialPruned as left:
        trial.set_user_attr(REASON, str(left))
        study.inner.tell(trial, state=optuna.trial.TrialState.PRUNED)
        return f"{words}: pruned, {left}"
    except WorkspaceError:
        raise
    except (GessoError, torch.OutOfMemoryError) as error:
        trial.set_user_attr(REASON, str(error))
        study.inner.tell(trial, state=optuna.trial.TrialState.FAIL)
        return f"{words}: failed, {error}"
    trial.set_user_attr("interval", [value.low, value.high])
    study.inner.tell(trial, value.ratio)
    return f"{words}: {value.ratio:.4f} of the base model's held-out loss"


def _judged(run: Run, trial: optuna.Trial, tools: Tools) -> Value:
    """Train and judge; raises TrialPruned on the way where the trial does worse than the median of the others."""
    evaluation, told = Evaluation(run, tools, run.training), set[int]()

    def look(step: int) -> None:
        # a training that goes on, or is done, was looked at before: the pruner is told of that first
        losses = evaluation.rows("losses")
        for each in sorted({row["step"] for row in losses if 0 < row["step"] <= step} - told):
            told.add(each)
            found = measured(losses, each)
            if found and not math.isfinite(found.ratio):
                raise GessoError(f"the held-out loss is not finite after step {each}")
            if found:
                trial.report(found.ratio, each)
        if step < run.train.steps and trial.should_prune():
            ratio = measured(losses, step)
            shown = f"{ratio.ratio:.4f} of the base model's loss" if ratio else "the loss"
            raise optuna.TrialPruned(f"{shown} after step {step} is above the median of earlier trials")

    train.fit(run, tools, heard=look)
    finish(run, evaluation, tools)
    look(run.train.steps)
    value = measured(evaluation.rows("losses"), run.train.steps)
    if value is None:
        raise GessoError("no held-out picture was measured")
    return value


def tidy(run: Run, study: Study, *, keep: int) -> None:
    """Remove what is not wanted any more of the trainings that the study began: all but the metrics.

    Weights stay of the `keep` best, and of any training that was there before or that a run has used.
    """
    wanted = {one.user_attrs[TRAINING] for one in study.best[:keep]}
    wanted |= {
        Run.open(run.workspace, path.parent.name).json("training").get("folder", "")
        for path in run.workspace.runs.glob("*/training.json")
    }
    attributes = [one.user_attrs for one in study.ended if TRAINING in one.user_attrs]
    wanted |= {one[TRAINING] for one in attributes if one[FOUND]}
    for name in {one[TRAINING] for one in attributes} - wanted:
        folder: Path = run.workspace.root / "trainings" / name
        (folder / train.DONE).unlink(missing_ok=True)  # first: without it nobody takes the training for finished
        for part in ("weights", "checkpoints"):
            if (folder / part).exists():
                atomic.remove(folder / part)


def finish(run: Run, evaluation: Evaluation, tools: Tools) -> None:
    """See that the training is done and that base model and last step are measured, as the run's recipe asks."""
    facts = train.fit(run, tools)
    evaluation.step(0, lambda: evaluate.base(run, tools))
    evaluation.step(facts["steps"], lambda: evaluate.trained(run, tools, run.training / facts["weights"]))


def _said(setting: Any) -> str:  # noqa: ANN401
    return f"{setting:.3g}" if isinstance(setting, float) else str(setting)
