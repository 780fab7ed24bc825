"""Words for the terminal: a run's summary and its ledger."""

from typing import Any

from pipeline import ledger
from pipeline.manifest import Row
from pipeline.run import Run

STAYED = ("kept", "held_out")


def summary(run: Run) -> str:
    """What a run did, in a few lines: files by state, stages, losses, metrics, the report's path."""
    outcome = run.json("outcome")
    seconds = outcome.get("seconds")
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
    training = run.json("training")
    if losses := training.get("losses"):
        first, last = losses[0], losses[-1]
        told = f"{first:.4f} at first, {last:.4f} after {training['steps']} steps (means of a tenth)"
        lines += ["", f"training loss: {told}"]
    metrics = run.rows("metrics")
    if metrics:
        width = max(len(_measure(row)) for row in metrics) + 2
        lines += ["", f"  {'measure':<{width}}{'before':>9}{'after':>9}   difference and its 95 % interval"]
        lines += [_metric(row, width) for row in metrics]
    report = run.folder / "report.html"
    if report.exists():
        lines += ["", f"report: {report}"]
    return "\n".join(lines)


def ledger_value(run: Run, state: str | None = None) -> dict[str, Any]:
    """A run's ledger for a script: `run`, `recipe`, `rows` (of one state, if given) and the `totals` of all rows."""
    rows = run.rows("ledger")
    shown = [row for row in rows if state in (None, row["state"])]
    return {"run": run.id, "recipe": run.recipe.name, "rows": shown, "totals": ledger.totals(rows)}


def ledger_text(run: Run, state: str | None = None) -> str:
    """Files by state with their reasons, then the totals of all; without `state` all that did not simply stay."""
    rows = run.rows("ledger")
    lines = [f"run {run.id} of {run.recipe.name}"]
    for name in ledger.STATES if state is None else (state,):
        listed = [row for row in rows if row["state"] == name]
        if listed and (state or name not in STAYED):
            lines += ["", f"{name} ({len(listed)})", *(f"  {row['origin']}{_why(row)}" for row in listed)]
    return "\n".join([*lines, "", f"{len(rows)} files came in:", *_totals(rows)])


def _why(row: Row) -> str:
    value = f" {row['value']}" if row["value"] else ""
    limit = f" (limit {row['limit']})" if row["limit"] else ""
    instead = f" of {row['kept_instead'][:12]}" if row["kept_instead"] else ""
    return f": {row['reason']}{value}{limit}{instead}" if row["reason"] else ""


def _totals(rows: list[Row]) -> list[str]:
    found = ledger.totals(rows)
    return [*(f"  {count:>7} {state}" for state, count in found.items()), f"  {sum(found.values()):>7} in all"]


def _measure(row: Row) -> str:
    return f"{row['name']}, {row['of']}"


def _metric(row: Row, width: int) -> str:
    line = f"  {_measure(row):<{width}}{row['before']:>9.4f}{row['after']:>9.4f}"
    if row["low"] is None:
        return line
    told = "" if row["low"] > 0 or row["high"] < 0 else ", not distinguishable"
    return f"{line}   {row['difference']:+.4f} ({row['low']:+.4f} to {row['high']:+.4f}){told}"
