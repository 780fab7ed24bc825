"""The charts of a run: training loss, learning rate and stable loss."""

from collections.abc import Sequence

from markupsafe import Markup

from pipeline.reporting import curves
from pipeline.reporting.charts import Band, Line, line_chart
from pipeline.reporting.record import StableLoss, TrainingPoint
from pipeline.reporting.words import number, percent

SMOOTHED_SHARE = 0.05
"""Share of all steps that the smoothed training loss averages over."""
SPLITS = {"held_out": ("held-out", 1), "train": ("training", 2), "prior": ("class", 3)}
"""The name and the series of a split."""


def training_loss(points: Sequence[TrainingPoint]) -> Markup:
    """The loss of every step, pale, behind its moving average."""
    raw = [(point.step, point.loss) for point in points]
    smoothed = curves.smooth(raw, span=max(5.0, SMOOTHED_SHARE * len(raw)))
    ends = f"smoothed, from {number(smoothed[0][1])} to {number(smoothed[-1][1])}. " if smoothed else ""
    return line_chart(
        [Line("each step", raw, faint=True), Line("smoothed", smoothed)],
        title="Training loss",
        description=f"Loss over {len(raw):,} steps: {ends}",
        x_label="step",
        y_label="Training loss (mean squared error)",
    )


def learning_rate(points: Sequence[TrainingPoint]) -> Markup:
    """The learning rate of every step."""
    rates = [(point.step, point.learning_rate) for point in points]
    highest = max(rate for _, rate in rates)
    return line_chart(
        [Line("learning rate", rates, series=3)],
        title="Learning rate",
        description=f"At most {number(highest)} over {len(rates):,} steps, {number(rates[-1][1])} at the end.",
        x_label="step",
        y_label="Learning rate",
        zero=True,
    )


def stable_loss(rows: Sequence[StableLoss]) -> Markup:
    """Change of the stable loss since the base model, averaged over the timesteps, with the best range shaded."""
    changes = curves.overall(curves.by_timestep(rows))
    held_out = changes.get("held_out", ())
    first, best, last = curves.best_range(held_out) if held_out else (0, 0, 0)
    told = "; ".join(f"{SPLITS[split][0]} {percent(curve[-1][1], signed=True)}" for split, curve in changes.items())
    lowest = f" Held-out is lowest at step {best:,}." if held_out else ""
    return line_chart(
        _lines(changes),
        title="Stable loss, all timesteps",
        description=f"Change since the base model at the last checkpoint: {told}.{lowest}",
        x_label="step",
        y_label="Change since the base model, mean of the timesteps",
        band=Band("best held-out", first, last) if held_out else None,
        zero=True,
        label=percent,
    )


def stable_loss_by_timestep(rows: Sequence[StableLoss]) -> list[Markup]:
    """The same for each timestep, on one scale: averages over timesteps can hide what happens at one."""
    by_timestep = curves.by_timestep(rows)
    values = [change for splits in by_timestep.values() for curve in splits.values() for _, change in curve]
    span = (min(values, default=0.0), max(values, default=1.0))
    charts = []
    for timestep, splits in by_timestep.items():
        told = "; ".join(f"{SPLITS[split][0]} {percent(curve[-1][1], signed=True)}" for split, curve in splits.items())
        charts.append(
            line_chart(
                _lines(splits),
                title=f"Stable loss at timestep {timestep}",
                description=f"Change since the base model at the last checkpoint: {told}.",
                x_label="step",
                y_label=f"At timestep {timestep} of 1000",
                size=(480, 200),
                y_range=span,
                zero=True,
                label=percent,
            )
        )
    return charts


def _lines(changes: dict[str, curves.Curve]) -> list[Line]:
    return [
        Line(name, changes[split], series=series, marked=True)
        for split, (name, series) in SPLITS.items()
        if split in changes
    ]
