"""`gesso demo`: the whole chain on pictures that gesso draws itself, offline, on a CPU."""

import csv
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from flows import engine as engines
from flows import reviewing, settings
from flows.attempt import attempt
from pipeline.errors import GessoError
from pipeline.recipe import Recipe, parse
from pipeline.run import Run
from pipeline.starter import collection
from pipeline.starter.defects import GOOD, Truth

EVERY = 120
READ = 3
"""The demo's reviewer reads the flagged captions and every third."""
ABOUT = (
    "Gesso drew {files} pictures of a robot that its small base model has never seen, and spoiled {trouble} of them in "
    "{kinds} ways: copies, blur, noise, bars, licences, broken files, wrong captions. Preparation had to find them, "
    "knowing nothing of that. A stand-in for a person then read the captions that a check had flagged and a third of "
    "the others, and corrected the wrong ones in the same spreadsheet that people use. On what was left the model "
    "learned the robot, under the made-up name sks: compare the columns of the samples."
)
"""What a stranger should know before reading the demo's report."""


def recipe(folder: Path) -> Recipe:
    """The demo's recipe over the pictures in `folder`."""
    return parse(
        {
            "name": "demo",
            "sources": [{"kind": "folder", "path": str(folder), "class": "robot", "trigger": "sks"}],
            "rights": {"allow": ["CC0-1.0"]},
            "dedup": {"near": {}},
            "select": {
                "resolution__short_side": {"min": 64},
                "sharpness__score": {"min": 0.2},
                "exposure__p99": {"min": 0.32},
                "exposure__p5": {"max": 0.94},
                "noise__sigma": {"max": 12},
                "borders__share": {"max": 0.05},
            },
            "split": {"held_out": 0.2},
            "caption": {"captioner": "blip", "model": "starter", "compose": "a {trigger} {class} {body}"},
            "augment": {
                "views": 2,
                "transforms": [{"HorizontalFlip": {"p": 0.5}}, {"RandomBrightnessContrast": {"p": 0.5}}],
            },
            "buckets": {"resolution": 64, "step": 8},
            "train": {
                "method": "lora",
                "rank": 16,
                "target_modules": ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "conv1", "conv2"],
                "steps": 3 * EVERY,
                "batch_size": 8,
                "learning_rate": 3e-3,
                "caption_dropout": 0.1,
                # as the base was trained
                "timestep_sampling": "logit_normal",
                "logit_mean": 0.4,
                "checkpoint_every": EVERY,
            },
            "evaluate": {
                "every": EVERY,
                "prompts": [f"a sks robot on {ground}" for ground in _GROUNDS],
                "seeds": [1, 2, 3, 4],
                "guidance": 4.0,
                "steps": 20,
            },
        }
    )


_GROUNDS = ("a blue background", "a yellow background", "a green background", "an orange background")


def demo(workspace: str | None, engine: str, command: str, *, verbose: bool = False) -> Run:
    """Draw the pictures once, prepare them, review some captions, run the chain, and tell what was caught."""
    place = Path(workspace or os.environ.get("GESSO_WORKSPACE") or "work/demo")
    pictures = place.with_name(place.name + "-files")
    if not pictures.exists():
        collection.demo(pictures)
    truths, chosen = collection.load(pictures), recipe(pictures)
    prepared = engines.go(
        chosen, place, engine="plain", part="prepare", until="caption", command=command, show=_prepared, verbose=verbose
    )
    click.echo(review(prepared, truths, place / "review.csv"))
    run = engines.go(chosen, place, engine=engine, part="run", command=command, verbose=verbose)
    tell(run, truths)
    click.echo(caught(run))
    return run


def review(run: Run, truths: Sequence[Truth], path: Path) -> str:
    """Read the flagged captions and every third as a person would, with the truth for eyes: export, edit, apply.

    Captions that were decided before stay as they are; says what changed.
    """
    shows = {one.file: one.caption for one in truths}
    undecided = {row.id for row in reviewing.captioned(run) if not row.decided}
    reviewing.export(run, path, replace=True)
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    for place, row in enumerate(sorted(rows, key=lambda row: row["file"])):
        truth = shows[Path(row["file"]).name]
        if row["id"] in undecided and (row["flags"] or place % READ == 0):
            row.update({"caption": truth} if row["caption"] != truth else {"decision": "accept"})
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    # as it is: captions that were planted on the wrong picture go back, which looks like a column that was moved
    found = reviewing.look(run, path, reviewer="demo", as_is=True)
    reviewing.apply(found)
    edited, accepted = found.changes.count("edited"), found.changes.count("accepted")
    return f"captions reviewed: {edited} corrected, {accepted} accepted"


def tell(run: Run, truths: Sequence[Truth]) -> None:
    """Put the planted truth into the run's folder, and write its report once more, which then tells of it."""
    kinds = {one.kind for one in truths} - {GOOD}
    trouble = sum(one.kind != GOOD for one in truths)
    files = [{name: value for name, value in asdict(one).items() if name != "caption"} for one in truths]
    about = ABOUT.format(files=len(truths), trouble=trouble, kinds=len(kinds))
    run.save_json("planted", {"about": about, "files": files})
    with run.workspace.hold(doing="gesso demo"), settings.tools(run.workspace) as tools:
        outcome = attempt(run, "report", tools)
    if outcome.exit_code:
        raise GessoError(outcome.message)


def caught(run: Run) -> str:
    """How much of the planted trouble was caught, by kind, as the report has it."""
    told = json.loads((run.folder / "report.json").read_text(encoding="utf-8"))["caught"]
    lines = ["", f"planted trouble that was caught: {told['recall']:.0%}; rightly left: {told['precision']:.0%}"]
    return "\n".join(
        [*lines, *(f"  {kind}: {one['right']} of {one['planted']}" for kind, one in told["kinds"].items())]
    )


def _prepared(run: Run) -> str:
    return f"prepared {len(run.rows('ledger'))} files, {len(run.rows('captions'))} captions to review"
