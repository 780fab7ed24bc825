"""What a recipe would do in a workspace: what is cached, what is missing. Computes and writes nothing.

Reading and measuring are counted exactly. The stages behind them are, where the latest run was of this very recipe and
nothing has changed since, by the files' names, sizes and times; else their numbers are upper bounds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline import fused, learning, plugins, shards
from pipeline.advice import Line
from pipeline.recipe import Recipe
from pipeline.run import Run
from pipeline.settings import Source
from pipeline.stage import name_of
from pipeline.steps import preflight
from pipeline.steps.measure import measurers
from pipeline.training import epochs
from pipeline.trainset.buckets import sizes
from pipeline.workspace import MARK, Workspace

SECONDS_A_PICTURE = 0.05
"""Rough cost of reading and measuring one picture of 2 megapixels on one core; measured on two cores of a laptop."""


@dataclass(frozen=True)
class StageOutlook:
    """Rows of a stage (for `train`: steps) that are there, None where that is not known, and that would be computed.

    Where it is not `exact`, `missing` is an upper bound.
    """

    stage: str
    cached: int | None
    missing: int
    exact: bool = True


def look(recipe: Recipe, root: Path, *, device: str = "cpu") -> dict[str, Any]:
    """Cached and missing rows of each stage, how far the training is, and what is to be known before it; for JSON."""
    workspace = Workspace(root)
    known = [found for place, source in enumerate(recipe.sources) for found in _known(source, place, workspace)]
    # of a content under several names the last one counts, as when it is measured
    samples = {sample_id: name for name, sample_id in known if sample_id}
    new = sum(sample_id is None for _, sample_id in known)
    lacking = _unmeasured(recipe, workspace, samples)
    stages = [
        StageOutlook("ingest", len(known) - new, new),
        StageOutlook("measure", len(samples) - lacking, lacking + new, exact=not new),
    ]
    run = _same(recipe, workspace, samples) if not new and not lacking else None
    stages += _later(run) if run else _at_most(recipe, len(known))
    if run and run.json("trainset"):
        before = preflight.of_run(run, device=device)
    else:
        settings = recipe.train.model_copy(update={"steps": _steps(recipe, len(known))})
        before = preflight.of_recipe(recipe, settings, device=device)
    return {
        "recipe": recipe.name,
        "workspace": str(root),
        "files": len(known),
        "stages": [asdict(one) for one in stages],
        "epochs": recipe.train.epochs,
        "estimate_seconds": round((lacking + new) * SECONDS_A_PICTURE, 1),
        "preflight": preflight.plain(before),
    }


def _known(source: Source, position: int, workspace: Workspace) -> Iterator[tuple[str, str | None]]:
    """Path of each picture, with its sample id if it was read before and looks the same."""
    module = plugins.load("sources", source.kind, field=f"sources.{position}.kind")
    yield from module.known(source, workspace)


def _unmeasured(recipe: Recipe, workspace: Workspace, samples: Mapping[str, str]) -> int:
    """How many samples (by id, with a file name) at least one measurer has no row for."""
    wanted = set(fused.requests_of(samples).values())
    lacking: set[Any] = set()
    for measurer, params in measurers(recipe):
        folder = workspace.table_folder(name_of(measurer), fused.fingerprint_of(measurer, params))
        lacking |= wanted - shards.requests(folder, fused.KEY)
    return len(lacking)


def _same(recipe: Recipe, workspace: Workspace, samples: Mapping[str, str]) -> Run | None:
    """The latest run, where it was of this recipe and nothing that it read has changed since."""
    latest = workspace.latest_run() if (workspace.root / MARK).exists() else None
    if latest is None:
        return None
    run = Run.open(workspace, latest.name)
    read = {row["sample_id"] for row in run.rows("origins") if row["sample_id"] and not row["mask_of"]}
    if run.recipe.digest != recipe.digest or read != set(samples):
        return None
    began = (run.folder / "recipe.yaml").stat().st_mtime_ns
    masks = [source.masks for source in recipe.sources if source.masks]
    folders = [workspace.decisions, *masks, *(source.path for source in recipe.sources)]
    beside = (path for folder in folders for path in (folder, *folder.rglob("*")) if path.is_file())
    return None if any(path.stat().st_mtime_ns > began for path in beside) else run


def _later(run: Run) -> list[StageOutlook]:
    """The stages behind measuring as the run left them; what it did not get to is missing."""
    did = {stat.name: stat.computed + stat.cached for stat in run.stats()}
    kept = len(run.rows("kept"))
    trainset = bool(run.json("trainset"))
    steps = run.train.steps if trainset else _steps(run.recipe, kept)
    done = steps if trainset and (run.training / "done.json").exists() else 0
    names = {"caption": run.recipe.caption.captioner}
    rows = {name: did.get(names.get(name, name)) for name in _stages(run.recipe)}
    return [
        *(
            _unknown(name, kept, run.recipe) if count is None else StageOutlook(name, count, 0)
            for name, count in rows.items()
        ),
        StageOutlook("train", done, steps - done, exact=trainset or run.recipe.train.epochs is None),
    ]


def _at_most(recipe: Recipe, files: int) -> list[StageOutlook]:
    unknown = (_unknown(name, files, recipe) for name in _stages(recipe))
    return [*unknown, StageOutlook("train", None, _steps(recipe, files), exact=False)]


def _steps(recipe: Recipe, files: int) -> int:
    """Steps of the training; of epochs as many as there would be if no picture left and each bucket had one over."""
    rows = files * recipe.augment.views * max(source.repeats for source in recipe.sources)
    buckets = min(rows, len(sizes(recipe.buckets)))
    return epochs.counted(recipe.train, buckets + rows // recipe.train.batch_size).steps


def _stages(recipe: Recipe) -> tuple[str, ...]:
    """The stages behind measuring whose rows are stored; a method that reads pixels needs no latents."""
    return ("caption", "latents", "texts") if learning.reads_latents(recipe) else ("caption",)


def _unknown(stage: str, pictures: int, recipe: Recipe) -> StageOutlook:
    views = recipe.augment.views if stage == "latents" else 1
    return StageOutlook(stage, None, pictures * views, exact=False)


def _epochs(count: int | None) -> str:
    return "" if count is None else f" ({count} epoch{'s' * (count > 1)})"


def words(found: dict[str, Any]) -> str:
    """The outlook in lines."""
    lines = [
        f"{found['recipe']} in {found['workspace']}: {found['files']} files",
        "",
        f"  {'stage':<10}{'cached':>8}  missing",
    ]
    for one in found["stages"]:
        cached = "?" if one["cached"] is None else one["cached"]
        missing = one["missing"] if one["exact"] else f"at most {one['missing']}"
        unit = (" steps" + _epochs(found["epochs"])) if one["stage"] == "train" else ""
        lines.append(f"  {one['stage']:<10}{cached:>8}  {missing}{unit}")
    seconds = found["estimate_seconds"]
    told = f"reading and measuring takes about {seconds} s" if seconds else "nothing to read or measure"
    before = ["", "before training:", *(f"  {_line(one)}" for one in found["preflight"])] if found["preflight"] else []
    return "\n".join([*lines, *before, "", f"{told}; nothing was run"])


def _line(told: Mapping[str, str]) -> str:
    return Line(**told).words
