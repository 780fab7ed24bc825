"""What a recipe would do in a workspace: what is cached, what is missing. Computes and writes nothing.

Everything up to the first step that has something missing is exact; behind it, numbers are upper bounds.
"""

from pathlib import Path
from typing import Any

from pipeline import fused, models
from pipeline.recipe import Recipe
from pipeline.sources import folder as folder_source
from pipeline.stage import stored_requests
from pipeline.steps.measure import measurers
from pipeline.steps.train import identity_of
from pipeline.workspace import MARK, Workspace

SECONDS_A_PICTURE = 0.05
"""Rough cost of reading and measuring one picture of 2 megapixels on one core; measured on two cores of a laptop."""


def look(recipe: Recipe, root: Path) -> dict[str, Any]:
    """How many files, cached rows and missing rows each stage has; and how far its training is."""
    workspace = Workspace(root)
    files, known = 0, 0
    samples: dict[str, str] = {}
    for source in recipe.sources:
        seen = folder_source.seen(source.path, workspace)
        for path in folder_source.files(source.path):
            files += 1
            sample = seen.get(folder_source.identity(path, source.path))
            if sample:
                known += 1
                samples[sample] = path.name
    wanted = set(fused.requests_of(samples).values())
    missing: set[Any] = set()
    for measurer, params in measurers(recipe):
        name = measurer.__name__.rpartition(".")[2]
        missing |= wanted - stored_requests(
            workspace.table_folder(name, fused.fingerprint_of(measurer, params)), fused.KEY
        )
    new = files - known
    stages = [
        {"stage": "ingest", "cached": known, "missing": new, "exact": True},
        {"stage": "measure", "cached": len(wanted) - len(missing), "missing": len(missing) + new, "exact": not new},
    ]
    latest = workspace.latest_run() if (root / MARK).exists() else None
    stages += _later(recipe, workspace, latest, settled=not new and not missing, files=files)
    return {
        "recipe": recipe.name,
        "workspace": str(root),
        "files": files,
        "stages": stages,
        "training_steps": recipe.train.steps,
        "estimate_seconds": round((len(missing) + new) * SECONDS_A_PICTURE, 1),
    }


def _later(
    recipe: Recipe, workspace: Workspace, latest: Path | None, *, settled: bool, files: int
) -> list[dict[str, Any]]:
    """The stages behind measuring: exact where the latest run was of this very recipe and no file is new."""
    from pipeline.run import Run

    run = Run.open(workspace, latest.name) if latest else None
    same = run is not None and settled and run.recipe.digest == recipe.digest
    if not same or run is None or not run.json("trainset"):
        names = ("caption", "latents", "texts")
        return [{"stage": name, "cached": None, "missing": files, "exact": False} for name in names] + [
            {"stage": "train", "cached": None, "missing": recipe.train.steps, "exact": False}
        ]
    found: list[dict[str, Any]] = []
    for stat in run.stats():
        if stat.name in ("caption", "latents", "texts"):
            rows = stat.computed + stat.cached
            found.append({"stage": stat.name, "cached": rows, "missing": 0, "exact": True})
    trained = (
        workspace.root / "trainings" / identity_of(run, models.locate(recipe.base_model.id, recipe.base_model.revision))
    )
    done = recipe.train.steps if (trained / "done.json").exists() else 0
    return [*found, {"stage": "train", "cached": done, "missing": recipe.train.steps - done, "exact": True}]


def words(found: dict[str, Any]) -> str:
    """The outlook in lines."""
    lines = [
        f"{found['recipe']} in {found['workspace']}: {found['files']} files",
        "",
        f"  {'stage':<12}{'cached':>9}{'missing':>14}",
    ]
    for one in found["stages"]:
        cached = "?" if one["cached"] is None else one["cached"]
        missing = one["missing"] if one["exact"] else f"at most {one['missing']}"
        lines.append(f"  {one['stage']:<12}{cached:>9}{missing:>14}")
    lines += ["", f"reading and measuring takes about {found['estimate_seconds']} s; nothing was run"]
    return "\n".join(lines)
