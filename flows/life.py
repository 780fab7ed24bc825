"""The life of one picture: where it came from, what was measured, decided, captioned, and which runs used it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.show import why
from pipeline.errors import InputError
from pipeline.manifest import Row, read_table
from pipeline.review import history, journal
from pipeline.run import Run

SHORTEST_ID = 4
"""Fewest digits of a sample id that are taken for one."""


def life(run: Run, picture: str) -> dict[str, Any]:
    """Everything that the run knows of one picture, by its path, its file's name, its sample id or the id's start.

    Raises:
        InputError: the run knows no such picture, or the name or the start of an id fits several.
    """
    origins = run.rows("origins")
    found = {
        row["sample_id"] or row["origin"]
        for row in origins
        if picture in (row["origin"], Path(row["origin"]).name)
        or (len(picture) >= SHORTEST_ID and (row["sample_id"] or "").startswith(picture.lower()))
        or Path(row["origin"]).absolute() == Path(picture).absolute()
    }
    if len(found) != 1:
        problem = f"this fits {len(found)} pictures" if found else f"run {run.id} knows no such picture"
        raise InputError(
            problem,
            field="SAMPLE_ID_OR_PATH",
            value=picture,
            remedy="Give a path as `gesso ledger` shows it, or more of the id.",
        )
    key = found.pop()

    def of(name: str) -> list[Row]:
        return [row for row in run.rows(name) if row.get("sample_id") == key]

    views = of("views")
    return {
        "sample_id": next((row["sample_id"] for row in origins if row["sample_id"] == key), None),
        "run": run.id,
        "origins": [row for row in origins if key in (row["sample_id"], row["origin"])],
        "ledger": [row for row in run.rows("ledger") if key in (row["sample_id"], row["origin"])],
        "measured": next(iter(of("samples")), {}),
        "caption": next(iter(of("reviewed") or of("captions")), {}),
        "history": history.values(_history(run, of("samples"))),
        "views": views,
        "trainset": run.json("trainset").get("digest") if views else None,
        "runs": _runs_with(run, key),
    }


def _history(run: Run, samples: list[Row]) -> list[history.Version]:
    """The versions of the caption of a picture, over all runs of the workspace up to this one, and people's."""
    if not samples or not samples[0]["pixel_id"]:
        return []
    sample_id, pixel_id = samples[0]["sample_id"], samples[0]["pixel_id"]
    proposed = []
    for path in sorted(run.workspace.runs.glob("*/captions.parquet")):
        one = Run.open(run.workspace, path.parent.name)
        for row in one.rows("captions"):
            if one.id <= run.id and row["sample_id"] == sample_id and row["body"]:
                told = json.loads(row.get("made") or "{}")
                proposed.append(
                    history.Proposed(
                        run=one.id,
                        at=_begun(one.id),
                        body=row["body"],
                        source=row["source"],
                        made=told,
                        said=row.get("said"),
                        changes=row.get("changes") or (),
                    )
                )
    return history.of(pixel_id, proposed, journal.load(run.workspace.decisions).decisions)


def _begun(run_id: str) -> str:
    """When a run began, by its id, which is more exact than what its file says."""
    return datetime.strptime(run_id[:19], "%Y%m%d-%H%M%S-%f").replace(tzinfo=UTC).isoformat()


def _version(one: dict[str, Any]) -> str:
    parent = f" of {one['parent']}" if one["parent"] else ""
    told = ", ".join(f"{name} {_plain(value)}" for name, value in one["told"].items() if name != "run")
    return f"  {one['id']}{parent}, {one['at'][:16]}, {one['by']}: {one['text']}" + (f" ({told})" if told else "")


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name}={one}" for name, one in value.items() if one is not None)
    return "; ".join(map(str, value)) if isinstance(value, list) else str(value)


def _runs_with(run: Run, sample_id: str) -> list[dict[str, Any]]:
    """The workspace's runs whose training set has the picture, each with the training that it ended in, if any."""
    found = []
    for path in sorted(run.workspace.runs.glob("*/views.parquet")):
        if sample_id in read_table(path, columns=["sample_id"])["sample_id"].to_pylist():
            training = Run.open(run.workspace, path.parent.name).json("training").get("folder")
            found.append({"run": path.parent.name, "training": training})
    return found


def life_text(found: dict[str, Any]) -> str:
    """The life of a picture in lines."""
    sample_id, measured = found["sample_id"], found["measured"]
    lines = [f"sample {sample_id}" if sample_id else "a file that could not be read"]
    lines += [f"  came from   {row['origin']} ({row['license'] or 'licence unknown'})" for row in found["origins"]]
    for row in found["ledger"]:
        place, reason = (f" at {row['stage']}" if row["stage"] else ""), why(row)
        lines.append(f"  state       {row['state']}{place}" + (f": {reason}" if reason or place else ""))
    for name, value in sorted(measured.items()):
        if "__" in name and value not in (None, ""):
            lines.append(f"  measured    {name} = {f'{value:.4g}' if isinstance(value, float) else value}")
    if found["caption"]:
        body = found["caption"].get("caption") or found["caption"].get("body") or "none"
        whose = "decided by a person" if found["caption"].get("decided") else f"from {found['caption']['source']}"
        lines.append(f"  caption     {body} ({whose})")
    lines += [_version(one) for one in found["history"]]
    lines += [f"  view {row['view']:<6} {row['caption'] or '(no caption)'}" for row in found["views"]]
    lines += [f"  trained     in training set {found['trainset']}"] if found["trainset"] else []
    for one in found["runs"]:
        lines.append(f"  used by     run {one['run']}" + (f", training {one['training']}" if one["training"] else ""))
    return "\n".join(lines)
