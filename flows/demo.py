"""`gesso demo`: the whole chain on pictures that gesso draws itself, offline, on a CPU."""

import json
import os
from collections import Counter
from pathlib import Path

import click

from flows import engine as engines
from pipeline.recipe import Recipe, parse
from pipeline.run import Run
from pipeline.starter import collection

EVERY = 150


def recipe(folder: Path) -> Recipe:
    """The demo's recipe over the pictures in `folder`."""
    return parse(
        {
            "name": "demo",
            "sources": [{"kind": "folder", "path": str(folder), "class": "robot", "trigger": "sks"}],
            "rights": {"allow": ["CC0-1.0"]},
            "dedup": {"near": {"distance": 2}},
            "select": {
                "resolution__short_side": {"min": 64},
                "sharpness__score": {"min": 0.2},
                "exposure__dark": {"max": 0.5},
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
                "batch_size": 16,
                "learning_rate": 3e-3,
                "caption_dropout": 0.1,
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
    """Draw the pictures once, run the chain, and hold the ledger against what was planted."""
    place = Path(workspace or os.environ.get("GESSO_WORKSPACE") or "work/demo")
    pictures = place.with_name(place.name + "-pictures")
    if not (pictures / "metadata.csv").exists():
        collection.demo(pictures)
    run = engines.go(recipe(pictures), place, engine=engine, part="run", command=command, verbose=verbose)
    planted = json.loads((pictures.parent / "planted.json").read_text(encoding="utf-8"))
    click.echo(caught(run, planted))
    return run


def caught(run: Run, planted: dict[str, str]) -> str:
    """How much of the planted trouble the ledger names, by kind, and how many good pictures it took with it."""
    states = {Path(row["origin"]).name: row["state"] for row in run.rows("ledger")}
    gone = {name for name, state in states.items() if state not in ("kept", "held_out")}
    found = Counter(wrong for name, wrong in planted.items() if name in gone)
    lines = ["", "planted trouble that preparation caught:"]
    lines += [f"  {wrong}: {found[wrong]} of {count}" for wrong, count in Counter(planted.values()).items()]
    return "\n".join([*lines, f"  good pictures lost: {len(gone - set(planted))} of {len(states) - len(planted)}"])
