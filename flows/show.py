"""Words for the terminal: a run's summary and its ledger."""

from dataclasses import asdict
from typing import Any

from flows.logs import FILE
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


def search(run: Run) -> str:
    """What a search found, in a few lines: trials by state, the best one, where report and recipe lie."""
    found = run.json("tuning")
    if not found:
        return summary(run)
    best, trials = found["best"], found["trials"]
    drawn = ", ".join(f"{path} {value}" for path, value in best["settings"].items())
    interval = "{:.4f} to {:.4f}".format(*best["interval"]) if best["interval"] else "none, of one picture"
    counted = f"{trials['complete']} trials finished, {trials['pruned']} pruned, {trials['fail']} failed"
    return "\n".join(
        [
            f"study {found['study']}: {counted}",
            f"best: trial {best['trial']}, {drawn}",
            f"held-out loss over the base model's: {best['value']:.4f} (95 % interval {interval})",
            f"recipe: {found['recipe']}",
            f"report: {found['report']}",
        ]
    )


def search_value(run: Run) -> dict[str, Any]:
    """What a search found, for a script; the keys are explained in docs/scripts.md."""
    outcome, found = run.json("outcome"), run.json("tuning")
    return {
        "run": run.id,
        "workspace": str(run.workspace.root),
        "exit_code": outcome.get("exit_code", 0),
        "message": outcome.get("message"),
        "seconds": outcome.get("seconds"),
        **{key: found.get(key) for key in ("study", "trials", "best", "recipe", "report", "database")},
    }


def summary_value(run: Run) -> dict[str, Any]:
    """What a run did, for a script; the keys are explained in docs/running.md. What is not there is None or empty."""
    outcome, trainset, training = run.json("outcome"), run.json("trainset"), run.json("training")
    report = run.folder / "report.html"
    folder = run.workspace.root / "trainings" / training["folder"] if training else None
    return {
        "run": run.id,
        "recipe": run.recipe.name,
        "workspace": str(run.workspace.root),
        "folder": str(run.folder),
        "exit_code": outcome.get("exit_code", 0),
        "step": outcome.get("step"),
        "message": outcome.get("message"),
        "seconds": outcome.get("seconds"),
        "files": ledger.totals(run.rows("ledger")),
        "stages": [asdict(one) for one in run.stats()],
        "trainset": trainset.get("digest"),
        "training": str(folder) if folder else None,
        "weights": str(folder / training["weights"]) if folder else None,
        "metrics": run.rows("metrics"),
        "report": str(report) if report.exists() else None,
        "log": str(run.folder / FILE),
    }


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
            lines += ["", f"{name} ({len(listed)})", *(f"  {row['origin']}{_colon(why(row))}" for row in listed)]
    return "\n".join([*lines, "", f"{len(rows)} files came in:", *_totals(rows)])


def forgotten(told: dict[str, Any]) -> str:
    """What is to be forgotten, and what it has reached, in lines."""
    count, places = len(told["pictures"]), told["origins"]
    lines = [f"{count} picture{'s' * (count != 1)} from {places} place{'s' * (places != 1)}"]
    lines += [f"  picture {one}" for one in told["pictures"]]
    for name, key in (("training set", "training_sets"), ("training", "trainings"), ("run", "runs")):
        lines += [f"  used by {name} {one}, which is revoked" for one in told[key]]
    if alike := told["look_alikes"]:
        lines.append(f"{len(alike)} more look like this and stay, but for runs to come; --look-alikes takes them too")
        lines += [f"  looks alike: {one}" for one in alike]
    return "\n".join(lines)


def why(row: Row) -> str:
    """Why a file is in its state: reason, measured value, limit, and what was kept instead; empty where it stayed."""
    if not row["reason"]:
        return ""
    # what keeps a file from being read is a sentence, what is measured a number
    value = f"{': ' if row['state'] == 'quarantined' else ' '}{row['value']}" if row["value"] else ""
    limit = f" (limit {row['limit']})" if row["limit"] else ""
    instead = f" of {row['kept_instead'][:12]}" if row["kept_instead"] else ""
    return f"{row['reason']}{value}{limit}{instead}"


def _colon(text: str) -> str:
    return f": {text}" if text else ""


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
