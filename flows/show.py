"""Words for the terminal: a run's summary, its ledger, the life of a picture, and what plug-ins there are."""

from pathlib import Path
from typing import Any

from pipeline import ledger, plugins
from pipeline.errors import InputError
from pipeline.manifest import Row
from pipeline.run import Run


def summary(run: Run, seconds: float | None) -> str:
    """What a run did, in a few lines: files by state, stages, losses, metrics, the report's path."""
    lines = [f"run {run.id} of {run.recipe.name}" + (f", {seconds:.0f} s" if seconds is not None else "")]
    rows = run.rows("ledger")
    if rows:
        lines += ["", f"{len(rows)} files came in:", *_totals(rows)]
    stats = run.stats()
    if stats:
        lines += ["", f"  {'stage':<12}{'computed':>9}{'cached':>9}{'seconds':>9}{'peak MiB':>10}"]
        lines += [
            f"  {one.name:<12}{one.computed:>9}{one.cached:>9}{one.seconds:>9.1f}{one.peak_mib:>10.0f}" for one in stats
        ]
    losses = run.json("training").get("losses")
    if losses:
        steps = run.json("training")["steps"]
        lines += ["", f"training loss: {losses[0]:.4f} at first, {losses[-1]:.4f} after {steps} steps (means of a tenth)"]
    metrics = run.rows("metrics")
    if metrics:
        lines += ["", f"  {'measure':<34}{'before':>9}{'after':>9}   difference and its 95 % interval"]
        lines += [_metric(row) for row in metrics]
    report = run.folder / "report.html"
    if report.exists():
        lines += ["", f"report: {report}"]
    return "\n".join(lines)


def _metric(row: Row) -> str:
    before, after = f"{row['before']:>9.4f}", f"{row['after']:>9.4f}"
    if row["low"] is None:
        return f"  {row['name'] + ', ' + row['of']:<34}{before}{after}"
    told = "" if row["low"] > 0 or row["high"] < 0 else ", not distinguishable"
    return (
        f"  {row['name'] + ', ' + row['of']:<34}{before}{after}   "
        f"{row['difference']:+.4f} ({row['low']:+.4f} to {row['high']:+.4f}){told}"
    )


def _totals(rows: list[Row]) -> list[str]:
    found = ledger.totals(rows)
    return [*(f"  {count:>7} {state}" for state, count in found.items()), f"  {sum(found.values()):>7} in all"]


def ledger_text(run: Run, rows: list[Row]) -> str:
    """Every file that did not simply stay, with its reason, then the totals."""
    lines = [f"run {run.id} of {run.recipe.name}"]
    for row in rows:
        if row["state"] not in ("kept", "held_out"):
            value = f" {row['value']}" if row["value"] else ""
            limit = f" (limit {row['limit']})" if row["limit"] else ""
            instead = f" of {row['kept_instead'][:12]}" if row["kept_instead"] else ""
            lines.append(f"  {row['state']:<18}{row['origin']}: {row['reason']}{value}{limit}{instead}")
    return "\n".join([*lines, *_totals(rows)])


def life(run: Run, picture: str) -> dict[str, Any]:
    """Everything that the run knows of one picture, by its sample id (or its start) or by its path.

    Raises:
        InputError: the run knows no such picture, or the start of an id fits several.
    """
    origins = run.rows("origins")
    found = {
        row["sample_id"] or row["origin"]
        for row in origins
        if picture in (row["origin"], Path(row["origin"]).name)
        or (row["sample_id"] or "").startswith(picture.lower())
        or Path(row["origin"]).absolute() == Path(picture).absolute()
    }
    if len(found) != 1:
        problem = "this run knows no such picture" if not found else f"this fits {len(found)} pictures"
        raise InputError(
            problem, field="SAMPLE_ID_OR_PATH", value=picture, remedy="Give a path as in `gesso ledger`, or more of the id."
        )
    key = found.pop()

    def of(name: str) -> list[Row]:
        return [row for row in run.rows(name) if row.get("sample_id") == key]

    trained = run.json("trainset").get("digest")
    return {
        "sample_id": key,
        "origins": [row for row in origins if key in (row["sample_id"], row["origin"])],
        "ledger": [row for row in run.rows("ledger") if key in (row["sample_id"], row["origin"])],
        "measured": next(iter(of("samples")), {}),
        "caption": next(iter(of("reviewed") or of("captions")), {}),
        "views": of("views"),
        "trainset": trained if of("views") else None,
        "runs": _runs_with(run, key),
    }


def _runs_with(run: Run, sample_id: str) -> list[str]:
    found = []
    for path in sorted(run.workspace.runs.glob("*/views.parquet")):
        import pyarrow.parquet as pq

        if sample_id in pq.read_table(path, columns=["sample_id"])["sample_id"].to_pylist():
            found.append(path.parent.name)
    return found


def life_text(found: dict[str, Any]) -> str:
    """The life of a picture in lines."""
    lines = [f"sample {found['sample_id']}"]
    for row in found["origins"]:
        lines.append(f"  from {row['origin']} ({row['license'] or 'licence unknown'})")
    for row in found["ledger"]:
        lines.append(f"  {row['state']}" + (f" at {row['stage']}: {row['reason']}" if row["stage"] else ""))
    lines += [f"  {name} = {value}" for name, value in sorted(found["measured"].items()) if "__" in name]
    if found["caption"]:
        body = found["caption"].get("caption") or found["caption"].get("body")
        lines.append(f"  caption body ({found['caption']['source']}): {body}")
    lines += [f"  view {row['view']}: {row['caption']}" for row in found["views"]]
    lines += [f"  in training set {found['trainset']}"] if found["trainset"] else []
    lines += [f"  used by run {name}" for name in found["runs"]]
    return "\n".join(lines)


def plugins_of(kind: str) -> list[dict[str, Any]]:
    """Name, description, columns and parameters of every plug-in of a kind."""
    found = []
    for name, module in plugins.load_all(kind).items():
        described = getattr(module, "DESCRIPTION", None) or (module.__doc__ or "").partition("\n")[0]
        params = getattr(module, "Params", None)
        adds = getattr(module, "ADDS", [])
        found.append(
            {
                "name": name,
                "description": described,
                "columns": {one.name: (one.metadata or {}).get(b"description", b"").decode() for one in adds},
                "parameters": {key: one.description for key, one in params.model_fields.items()} if params else {},
            }
        )
    return found


def plugins_text(found: list[dict[str, Any]]) -> str:
    """Plug-ins in lines."""
    lines = []
    for one in found:
        lines.append(f"{one['name']}: {one['description']}")
        lines += [f"  column {name}: {told}" for name, told in one["columns"].items()]
        lines += [f"  parameter {name}: {told}" for name, told in one["parameters"].items()]
    return "\n".join(lines)
