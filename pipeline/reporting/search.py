"""The report of a search for better settings: one HTML page that opens offline."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipeline import atomic
from pipeline.reporting.charts import Line, line_chart, share_bar
from pipeline.reporting.parallel import Axis, parallel_chart, said
from pipeline.reporting.pictures import Album, Image
from pipeline.reporting.report import environment, page_sources
from pipeline.reporting.words import count, number, percent

BEST = 3
"""Trials that are drawn in front and shown side by side."""
BASE = -1
"""The number that stands for the base model among samples."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One training that was tried; `course` has (step, held-out loss over the base model's), `value` the last."""

    number: int
    state: str
    """finished, pruned or failed."""
    value: float | None
    interval: tuple[float, float] | None
    settings: dict[str, Any]
    course: tuple[tuple[int, float], ...] = ()
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Sample:
    """A picture that a trial's model painted, or the base model (`BASE`)."""

    trial: int
    prompt: str
    seed: int
    png: bytes


@dataclass(frozen=True)
class SearchRecord:
    """All that the page shows."""

    name: str
    run_id: str
    written: datetime
    command: str
    base_model: str
    method: str
    steps: int
    trials: list[Trial]
    log: frozenset[str]
    """Settings that are drawn by order of magnitude."""
    importance: dict[str, float]
    recipe_yaml: str
    samples: list[Sample] = field(default_factory=list)

    @property
    def best(self) -> list[Trial]:
        """The best finished trials, each with settings of its own."""
        found: list[Trial] = []
        for one in sorted((one for one in self.trials if one.value is not None), key=lambda one: one.value or 0.0):
            if one.settings not in [other.settings for other in found]:
                found.append(one)
        return found[:BEST]


def write(record: SearchRecord, path: Path) -> Path:
    """Write the page to `path`, complete or not at all, and return it."""
    with atomic.file(path) as part:
        part.write_text(html(record), encoding="utf-8", errors="backslashreplace")
    return path


def html(record: SearchRecord) -> str:
    """The page: no request leaves it, and every text of the record stays text."""
    album, made = Album({}), environment()
    made.filters["setting"] = said
    return made.get_template("search.html.j2").render(
        record=record,
        best=record.best,
        verdict=verdict(record),
        figures=_figures(record),
        course=_course(record),
        looks=_looks(record),
        parallel=_parallel(record),
        importance=sorted(record.importance.items(), key=lambda one: -one[1]),
        bar=lambda share: share_bar([("on", round(100 * share))], 100),
        grid=_grid(record, album),
        paths=sorted({path for one in record.trials for path in one.settings}),
        **page_sources(),
    )


def verdict(record: SearchRecord) -> str:
    """What the search found, in a sentence or two."""
    first = record.best[0]
    drawn = ", ".join(f"{path.removeprefix('train.')} {said(one)}" for path, one in first.settings.items())
    change = percent((first.value or 0.0) - 1, signed=True)
    if (first.value or 0.0) >= 1:
        return f"No trial does better than the base model; the nearest has {drawn}: {change} of held-out loss."
    told = f"With {drawn} the held-out loss falls most: {change} since the base model."
    if first.interval is None:
        return f"{told} How sure that is, one held-out picture cannot say."
    low, high = (percent(one - 1, signed=True) for one in first.interval)
    if first.interval[0] <= 1 <= first.interval[1]:
        return f"{told} That could be chance: the 95 % interval is {low} to {high}."
    return f"{told} The 95 % interval is {low} to {high}."


def _figures(record: SearchRecord) -> list[tuple[str, str]]:
    states = [one.state for one in record.trials]
    best = record.best[0]
    return [
        (f"{best.value or 0.0:.4f}", "best held-out loss over the base model's"),
        (f"{states.count('finished')} of {len(states)}", "trials finished"),
        (str(states.count("pruned")), "pruned on the way"),
        (str(states.count("failed")), "failed"),
        (f"{record.steps:,}", "steps of a training"),
    ]


def _course(record: SearchRecord) -> Markup:
    """Every finished trial's value in order, and the best one so far."""
    values = [(place, one.value) for place, one in enumerate(record.trials, 1) if one.value is not None]
    least: list[tuple[float, float]] = []
    for place, value in values:
        least.append((place, min(value, least[-1][1] if least else value)))
    least.append((len(record.trials), least[-1][1]))
    return line_chart(
        [
            Line("each trial", [(float(x), y) for x, y in values], series=2, marked=True, faint=True),
            Line("best", least),
        ],
        title="Course of the search",
        description=f"The best of {count(len(record.trials), 'trial')} reaches {number(least[-1][1])}.",
        x_label="trial",
        y_label="Held-out loss over the base model's",
    )


def _looks(record: SearchRecord) -> Markup:
    """The course of the held-out loss within trials: where they parted, and where pruning left them."""
    first = record.best[0].number
    lines = [
        Line("pruned or worse", [(0, 1.0), *one.course], series=2, faint=True)
        for one in record.trials
        if one.course and one.number != first
    ][:200]
    lines = [Line(one.name if place == 0 else "", one.points, 2, faint=True) for place, one in enumerate(lines)]
    return line_chart(
        [Line("best", [(0, 1.0), *record.best[0].course], marked=True), *lines],
        title="Within the trials",
        description="Held-out loss over the base model's after each look, of all trials; the best one in front.",
        x_label="step",
        y_label="Held-out loss over the base model's",
    )


def _parallel(record: SearchRecord) -> Markup:
    """All trials that got as far as a look; pruned ones end at the value of their last."""
    shown = [one for one in record.trials if one.value is not None or one.course]
    best = {one.number for one in record.best}
    axes = [_axis(path, shown, record.log) for path in sorted({path for one in shown for path in one.settings})]
    reached = [one.value if one.value is not None else one.course[-1][1] for one in shown]
    first = record.best[0].number
    kinds = ["best" if one.number == first else "good" if one.number in best else "other" for one in shown]
    return parallel_chart(
        [*axes, Axis("held-out loss", reached, log=min(reached) > 0)],
        kinds,
        title="Settings and what came of them",
        description=f"A line for each of {count(len(shown), 'trial')}, from its settings to its held-out loss over the "
        "base model's; lower is better.",
    )


def _axis(path: str, trials: Sequence[Trial], log: frozenset[str]) -> Axis:
    values = [one.settings.get(path) for one in trials]
    name = path.removeprefix("train.")
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in values):
        return Axis(name, values, log=path in log)
    choices: list[Any] = []
    for one in values:
        if one not in choices:
            choices.append(one)
    return Axis(name, values, choices=sorted(choices, key=said))


def _grid(record: SearchRecord, album: Album) -> list[tuple[str, list[tuple[int, list[Image | None]]]]]:
    """For each prompt a row a seed: the base model's picture and those of the best."""
    columns = [BASE, *(one.number for one in record.best)]
    found = {(one.trial, one.prompt, one.seed): one.png for one in record.samples}
    prompts = list(dict.fromkeys(one.prompt for one in record.samples))
    seeds = list(dict.fromkeys(one.seed for one in record.samples))
    return [
        (
            prompt,
            [
                (
                    seed,
                    [
                        album.picture(found[column, prompt, seed], longest=256)
                        if (column, prompt, seed) in found
                        else None
                        for column in columns
                    ],
                )
                for seed in seeds
            ],
        )
        for prompt in prompts
    ]
