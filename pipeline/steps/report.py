"""Step: gather what the run did into a record and write its report."""

import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline import imaging, learning, ledger
from pipeline.errors import ModelError
from pipeline.manifest import Row, read_table
from pipeline.reporting import record as kept
from pipeline.reporting import report
from pipeline.reporting.histograms import Histogram
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.steps import lessons, overview, thumbs
from pipeline.trainset import views
from pipeline.trainset.lengths import Ruler, surely_read

THUMBNAIL_SIDE = 128
MOST_THUMBNAILS = 400
SHEET_PICTURES, SHEET_VIEWS = 6, 4
"""Pictures on the augmentation sheet, and views of each."""


def run(run: Run, tools: Tools) -> str:
    """Write `report.html` and `report.json` in the run's folder; says where."""
    facts, rows = run.json("run"), run.rows("ledger")
    training = run.json("training")
    folder = run.workspace.root / "trainings" / training["folder"] if training else None
    views_made = _sheet(run)
    bars = overview.histograms(run)
    made = kept.RunRecord(
        run_id=run.id,
        name=run.recipe.name,
        started=datetime.fromisoformat(facts["started"]),
        finished=datetime.now(UTC),
        command=facts["command"],
        ledger=[_ledger_row(row) for row in rows],
        about=run.json("planted").get("about", ""),
        planted=[kept.Planted(**row) for row in run.json("planted").get("files", ())],
        funnel=[kept.FunnelStep(stage, came_in, left) for stage, came_in, left in ledger.funnel(rows)],
        thumbnails=_thumbnails(rows, bars, tools),
        histograms=bars,
        variety=overview.variety(run),
        captions=_captions(run),
        lessons=lessons.of_run(run),
        views=views_made,
        preflight=[kept.Known(**one) for one in run.json("preflight").get("lines", ())],
        training=_training(folder),
        stable_loss=[
            kept.StableLoss(row["step"], row["split"], row["timestep"], row["loss"]) for row in run.rows("stable_loss")
        ],
        evaluations=_evaluations(run),
        metrics=[kept.Metric(**row) for row in run.rows("metrics")],
        rights=_rights(run),
        recipe_yaml=(run.folder / "recipe.yaml").read_text(encoding="utf-8"),
        base_model=run.recipe.base_model.id,
        method=training.get("method", ""),
        machine=facts["machine"],
        versions=facts["versions"],
        stages=[kept.StageCost(one.name, one.seconds, one.computed, one.cached, one.peak_mib) for one in run.stats()],
        trainset_digest=run.json("trainset").get("digest", ""),
        weights=_weights(folder, training),
    )
    path = report.write(made, run.folder / "report.html")
    return str(path)


def _ledger_row(row: Row) -> kept.LedgerRow:
    texts = {name: row[name] or "" for name in ledger.LEDGER.names if name not in ("value", "limit")}
    return kept.LedgerRow(**texts, value=_figure(row["value"]), limit=_figure(row["limit"]))


def _figure(value: str | None) -> str | float | None:
    """A number as a number, so that galleries can rank."""
    try:
        return value if value is None else float(value)
    except ValueError:
        return value


def _thumbnails(rows: Sequence[Row], bars: Sequence[Histogram], tools: Tools) -> dict[str, bytes]:
    """Thumbnails of what the page shows: first what left and what it gave way to, then what stayed; those of bars."""
    wanted: dict[str, None] = {}
    for row in sorted(rows, key=lambda one: one["state"] in ("kept", "held_out")):
        for sample_id in (row["sample_id"], row["kept_instead"]):
            if sample_id:
                wanted[sample_id] = None
    examples = [who for one in bars for bar in one.bars for who in bar.examples]
    return thumbs.of([*list(wanted)[:MOST_THUMBNAILS], *examples], tools, side=THUMBNAIL_SIDE)


def _captions(run: Run) -> list[kept.CaptionRow]:
    final = {
        row["sample_id"]: row["caption"]
        for row in run.rows("views", ("sample_id", "view", "caption"))
        if row["view"] == 0
    }
    read = _reader(run, final.values())
    fits = {row["sample_id"]: row["fit"] for row in run.rows("fits")}
    return [
        kept.CaptionRow(
            sample_id=row["sample_id"],
            origin=row["origin"],
            machine=row["proposed"],
            reviewed=row["caption"] if row["decided"] else None,
            final=final.get(row["sample_id"], ""),
            provenance=row["source"],
            flags=tuple(row["flags"]),
            split=row["split"],
            fit=fits.get(row["sample_id"]),
            read=read(final.get(row["sample_id"], "")),
        )
        for row in run.rows("reviewed")
    ]


def _reader(run: Run, captions: Iterable[str]) -> Callable[[str], int | None]:
    """Measures how much of a caption the text encoder reads, where there is one and a caption that may be too long."""
    if learning.part(run.recipe) != "base" or all(map(surely_read, captions)):
        return lambda caption: None  # noqa: ARG005 (nothing to measure)
    try:
        return Ruler(learning.locate(run.located)).read
    except ModelError:
        return lambda caption: None  # noqa: ARG005 (the base model is no longer where it was)


def _sheet(run: Run) -> list[kept.AugmentedView]:
    """The first pictures that have further views, each with its views."""
    if run.recipe.augment.views == 1:
        return []
    rows = run.rows("views", ("sample_id", "pixel_id", "view", "transforms", "refused", "caption"))
    several = [one for one, count in Counter(row["sample_id"] for row in rows).items() if count > 1][:SHEET_PICTURES]
    found = []
    for row in rows:
        if row["sample_id"] not in several or row["view"] >= SHEET_VIEWS:
            continue
        pixels = imaging.decode(run.workspace.read_original(row["sample_id"])).pixels
        transforms = json.loads(row["transforms"])
        view = views.make(pixels, row["pixel_id"], row["view"], transforms, run.recipe.buckets)
        label = "as it is" if row["view"] == 0 else ", ".join(name for one in transforms for name in one)
        found.append(
            kept.AugmentedView(
                sample_id=row["sample_id"],
                view=row["view"],
                label=label,
                caption=row["caption"],
                picture=view.pixels,
                refused="; ".join(row["refused"]),
            )
        )
    return found


def _training(folder: Path | None) -> list[kept.TrainingPoint]:
    path = folder / "metrics.parquet" if folder else None
    if path is None or not path.exists():
        return []
    found: dict[int, dict[str, float]] = {}
    for row in read_table(path).to_pylist():
        found.setdefault(row["step"], {})[row["name"]] = row["value"]
    return [
        kept.TrainingPoint(step, values["train/loss"], values["train/learning_rate"])
        for step, values in sorted(found.items())
    ]


def _evaluations(run: Run) -> list[kept.Evaluation]:
    by_step: dict[int, list[kept.Sample]] = {}
    for row in run.rows("samples_made"):
        picture = np.asarray(Image.open(io.BytesIO(row["png"])).convert("RGB"), np.uint8)
        by_step.setdefault(row["step"], []).append(kept.Sample(row["prompt"], row["seed"], picture))
    return [kept.Evaluation(step, samples) for step, samples in sorted(by_step.items())]


def _rights(run: Run) -> list[kept.Right]:
    origins = run.rows("origins", ("sample_id", "license", "attribution", "creator"))
    allowed = set(run.recipe.rights.allow)
    counted = Counter(row["license"] for row in origins if row["sample_id"])
    named: dict[str | None, set[str]] = {}
    for row in origins:
        named.setdefault(row["license"], set()).add(row["attribution"] or row["creator"] or "")
    return [
        kept.Right(
            license=license_ or "unknown",
            count=count,
            allowed=license_ in allowed or (license_ is None and run.recipe.rights.unknown == "accept"),
            attribution=", ".join(sorted(named[license_] - {""})),
        )
        for license_, count in sorted(counted.items(), key=lambda item: -item[1])
    ]


def _weights(folder: Path | None, training: Row) -> list[kept.Weights]:
    if folder is None:
        return []
    return [
        kept.Weights(str(path), training["steps"])
        for path in sorted((folder / training["weights"]).rglob("*.safetensors"))
    ]
