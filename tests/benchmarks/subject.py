"""What a LoRA on eight pictures of a subject gains and costs, as a judge sees it that knows the subject.

python tests/benchmarks/subject.py [--subject robot] [--pictures 8] [--steps N] [--record]

The subject is in no training of the starter models. A recipe trains on a few drawn pictures of it, captioned `a sks
robot <place> on <ground>`. Before and after, the same prompts are painted with the same seeds: `gain` is the share of
pictures of `a sks robot ...` in which the judge sees the subject; `cost` is, for held-out prompts without the trigger,
the share that shows each attribute that is asked for. Differences are after minus before with their 95 % interval,
paired by prompt. About 6 minutes on two cores.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from pipeline import bootstrap, plan
from pipeline.model_files import locate
from pipeline.recipe import Recipe, parse
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.starter import judge, pictures, quality
from pipeline.starter.collection import body
from pipeline.starter.scene import COLORS, PLACES
from pipeline.workspace import Workspace

ROOT = Path(__file__).parents[2]
MOST_LOST = 0.05
"""Of the prompts without the trigger, that may lose an attribute."""
PROMPTS = 100
TRIGGER = "sks"


def recipe(photos: Path, subject: str, steps: int) -> Recipe:
    """A recipe that learns the subject from the pictures in `photos`."""
    source = {"path": str(photos), "class": subject, "trigger": TRIGGER, "rights": {"license": "CC0-1.0"}}
    return parse(
        {
            "name": "subject",
            "sources": [source],
            "rights": {"allow": ["CC0-1.0"]},
            "dedup": {"near": None},
            "split": {"held_out": 0.0},
            "caption": {"compose": "a {trigger} {class} {body}"},
            "augment": {"views": 4, "transforms": [{"RandomBrightnessContrast": {"p": 0.5}}]},
            "buckets": {"resolution": 64, "step": 8},
            "train": {
                "method": "lora",
                "rank": 8,
                "target_modules": ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "conv1", "conv2"],
                "steps": steps,
                "batch_size": 8,
                "learning_rate": 1e-3,
                "checkpoint_every": steps,
            },
            "evaluate": {"prompts": [f"a {TRIGGER} {subject} on a blue background"], "seeds": [1]},
        }
    )


def train(root: Path, subject: str, count: int, steps: int) -> tuple[Path, float]:
    """Draw the pictures and run the recipe; the folder of the adapter, and the seconds."""
    photos = root / "photos"
    photos.mkdir()
    for number in range(count):
        drawn = pictures.subject(subject, 500 + number)
        Image.fromarray(drawn.pixels).save(photos / f"{number}.png")
        words = body(drawn.scene).removeprefix(f"a {subject} ")
        (photos / f"{number}.txt").write_text(words + "\n", encoding="utf-8")
    began, workspace = time.monotonic(), Workspace.create(root / "work")
    made = Run.create(workspace, recipe(photos, subject, steps), command="subject")
    for step in plan.ALL_STEPS:
        plan.do(made, step, Tools(workspace, workers=1))
    training = made.json("training")
    return workspace.root / "trainings" / training["folder"] / training["weights"], time.monotonic() - began


def seen(pipe: StableDiffusionPipeline, seer: judge.Judge, subject: str) -> dict[str, list[float]]:
    """Whether the judge sees what each prompt asks for: the subject, and without the trigger each attribute."""
    asked = [
        f"a {TRIGGER} {subject} {place} on a {color} background"
        for place in PLACES
        for color in COLORS
        if color not in ("orange", "gray")  # "an orange"; the robot's own colour
    ]
    shown = seer.look(quality.paint_prompts(pipe, asked))
    found = {"subject": [float(one["shape"] == subject) for one in shown]}
    scenes = quality.held_out(1, PROMPTS)
    for one, said in zip(scenes, seer.look(quality.paint(pipe, scenes)), strict=True):
        truth = judge.truth(one)
        for name in quality.ALONE:
            found.setdefault(name, []).append(float(truth[name] == said[name]))
    return found


def main() -> None:
    """Measure, print one JSON object, and with --record append it to the kept records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subject", choices=pictures.SUBJECTS, default="robot", help="what is learned")
    parser.add_argument("--pictures", type=int, default=8, help="pictures to learn it from")
    parser.add_argument("--steps", type=int, default=300, help="steps of the training")
    parser.add_argument("--record", action="store_true", help="append to reports/benchmarks/subject.jsonl")
    asked = parser.parse_args()
    base = locate("starter")
    seer = judge.load(base.parent / "judge")
    pipe = StableDiffusionPipeline.from_pretrained(base, dtype=torch.float32, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    with tempfile.TemporaryDirectory() as root:
        weights, seconds = train(Path(root), asked.subject, asked.pictures, asked.steps)
        before = seen(pipe, seer, asked.subject)
        pipe.load_lora_weights(weights)
        after = seen(pipe, seer, asked.subject)
    compared: dict[str, Any] = {
        name: {
            "before": round(sum(before[name]) / len(before[name]), 3),
            "after": round(sum(after[name]) / len(after[name]), 3),
            **{key: round(value, 3) for key, value in asdict(bootstrap.paired(before[name], after[name])).items()},
        }
        for name in before
    }
    told = {
        "name": "subject",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "subject": asked.subject,
        "pictures": asked.pictures,
        "steps": asked.steps,
        "gain": compared.pop("subject"),
        "cost": compared,
        "most_lost": MOST_LOST,
        "within": all(one["difference"] >= -MOST_LOST for one in compared.values()),
        "seconds": round(seconds, 1),
        "versions": {name: metadata.version(name) for name in ("torch", "diffusers", "peft", "gesso")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    line = json.dumps(told)
    print(line)  # noqa: T201 (the benchmark's result)
    if asked.record:
        with (ROOT / "reports" / "benchmarks" / "subject.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
