"""Step: search for better settings of the training, trial by trial, on the training set that is cached.

A study is named by what decides its trials (the training set, the settings that stay, the ranges) and lies under that
name in the workspace: one that was stopped or killed goes on without repeating what it finished, and one that is asked
for more trials goes on where it ended. It leaves a report, and the best trial's recipe, whose training is done already.
"""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial

from pipeline import learning, ranges
from pipeline.errors import GessoError, RecipeError
from pipeline.manifest import digest
from pipeline.reporting import search
from pipeline.run import Run
from pipeline.stage import Tools, note
from pipeline.steps import trial
from pipeline.steps.evaluation import Evaluation
from pipeline.steps.study import REASON, Study
from pipeline.training.settings import WITHOUT_EFFECT
from pipeline.workspace import write_bytes

BEST = 3
"""Trials whose weights are kept and whose samples the report shows."""
RECIPE, REPORT = "best.yaml", "report.html"


def run(run: Run, tools: Tools) -> str:
    """Do the trials that are missing, and write the report and the best recipe; saves `tuning`.

    Raises:
        RecipeError: there is nothing to search, or nothing to judge trials by.
        GessoError: no trial finished.
    """
    began, tune = time.monotonic(), run.recipe.tune
    _check(run)
    folder = run.workspace.root / "tunings" / f"{run.recipe.name}-{identity(run)[:12]}"
    every = tune.every or max(1, run.train.steps // 4)
    study = Study.open(folder, tune)
    before = len(study.ended)
    if before:
        tools.say(f"going on after {before} trials")
    while (done := len(study.ended)) < tune.trials:
        tools.progress("trials", done, tune.trials, _note(study))
        tools.say(trial.attempt(run, study, every, tools))
        trial.tidy(run, study, keep=BEST)
    tools.progress("trials", done, done, _note(study))
    note(tools, "tune", computed=done - before, asked=done, began=began)
    if not study.best:
        reasons = dict.fromkeys(one.user_attrs.get(REASON, "") for one in study.ended)
        raise GessoError(f"none of {done} trials finished: {'; '.join(reasons)}")
    best = study.best[0]
    text = _recipe(run, study, best, folder.name)
    write_bytes(folder / RECIPE, text.encode())
    search.write(_record(run, study, text, tools), folder / REPORT)
    run.save_json("tuning", _facts(run, study, folder))
    return f"{done} trials, the best at {best.value:.4f} of the base model's held-out loss; {folder / REPORT}"


def identity(run: Run) -> str:
    """Digest of what decides a study's trials, but for how many there are."""
    tune, trainset = run.recipe.tune, run.json("trainset")
    searched = {ranges.name(path) for path in tune.ranges}
    stays = run.train.model_dump(mode="json", exclude=searched | WITHOUT_EFFECT)
    asked = tune.model_dump(mode="json", exclude={"trials"})
    model = list(learning.hashes(run.located).values())
    return digest([trainset["digest"], trainset["encoded"], stays, asked, model])


def _check(run: Run) -> None:
    if not run.recipe.tune.ranges:
        raise RecipeError(
            "the recipe names nothing to search",
            field="tune.ranges",
            remedy="Add for instance `tune: {ranges: {train.learning_rate: {low: 1.0e-5, high: 1.0e-3, log: true}}}`.",
        )
    if learning.learns(run.recipe) != "unet":
        raise RecipeError(
            "a study judges by the stable loss, which a UNet alone has",
            field="train.method",
            value=run.recipe.train.method,
            remedy="Choose a method that trains a UNet, such as lora.",
        )
    if not any(row["split"] == "held_out" for row in run.rows("views", ("split",))):
        raise RecipeError(
            "there is no held-out picture to judge trials by",
            field="split.held_out",
            value=run.recipe.split.held_out,
            remedy="Set split.held_out to about 0.1, or add pictures.",
        )


def _note(study: Study) -> str:
    return f"best {study.best[0].value:.4f}" if study.best else ""


def _recipe(run: Run, study: Study, best: FrozenTrial, name: str) -> str:
    """The best trial's recipe, whole, with where it comes from."""
    made = trial.asked(run, study.settings(best.params)).recipe
    made = made.model_copy(update={"tune": type(made.tune)()})
    interval = _interval(best)
    told = f", 95 % interval {interval[0]:.4f} to {interval[1]:.4f}" if interval else ""
    return (
        f"# The best of {len(study.ended)} trials of the study {name}: trial {best.number}.\n"
        f"# Held-out stable loss after training, over the base model's: {best.value:.4f}{told}.\n"
        "# It is the least of many, so a little lucky: pictures that the study never saw would say how much.\n"
        f"# In the same workspace `gesso run` finds this training done.\n{made.yaml()}"
    )


def _interval(one: FrozenTrial) -> tuple[float, float] | None:
    low, high = one.user_attrs.get("interval", (None, None))
    return None if low is None or high is None else (low, high)


def _facts(run: Run, study: Study, folder: Path) -> Mapping[str, Any]:
    best = study.best[0]
    counted = [one.state.name.lower() for one in study.ended]
    return {
        "study": folder.name,
        "trials": {state: counted.count(state) for state in ("complete", "pruned", "fail")},
        "best": {
            "trial": best.number,
            "value": best.value,
            "interval": _interval(best),
            "settings": study.settings(best.params),
            "training": best.user_attrs["training"],
        },
        "recipe": str(folder / RECIPE),
        "report": str(folder / REPORT),
        "database": str(folder / "study.db"),
        "every": run.recipe.tune.every or max(1, run.train.steps // 4),
    }


def _record(run: Run, study: Study, text: str, tools: Tools) -> search.SearchRecord:
    return search.SearchRecord(
        name=run.recipe.name,
        run_id=run.id,
        written=datetime.now(UTC),
        command=run.json("run")["command"],
        base_model=run.recipe.base_model.id,
        method=run.recipe.train.method,
        steps=run.train.steps,
        trials=[
            search.Trial(
                number=one.number,
                state={"COMPLETE": "finished", "PRUNED": "pruned", "FAIL": "failed"}[one.state.name],
                value=one.value if one.state.name == "COMPLETE" else None,
                interval=_interval(one),
                settings=study.settings(one.params),
                course=tuple(sorted(one.intermediate_values.items())),
                reason=one.user_attrs.get(REASON, ""),
                seconds=one.duration.total_seconds() if one.duration else 0.0,
            )
            for one in study.ended
        ],
        log=frozenset(path for path, one in run.recipe.tune.ranges.items() if one.log),
        importance=study.importance(),
        samples=_samples(run, study, tools),
        recipe_yaml=text,
    )


def _samples(run: Run, study: Study, tools: Tools) -> list[search.Sample]:
    """The same prompts and seeds, painted by the base model (trial -1) and by each of the best."""
    found: list[search.Sample] = []
    for place, one in enumerate(study.best[:BEST] if run.recipe.evaluate.prompts else ()):
        at = trial.asked(run, study.settings(one.params))
        evaluation = Evaluation(at, tools, at.training)
        trial.finish(at, evaluation, tools)
        rows = evaluation.rows("samples")
        last = max(row["step"] for row in rows)
        for row in rows:
            if row["step"] == last or (row["step"] == 0 and place == 0):
                number = one.number if row["step"] else -1
                found.append(search.Sample(number, row["prompt"], row["seed"], row["png"]))
    return found
