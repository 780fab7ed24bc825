"""What a method gains and costs on eight pictures of a subject, as a judge sees it that knows the subject.

python tests/benchmarks/subject.py [--method lora] [--subject robot] [--pictures 8] [--steps N] [--grid FILE] [--record]

The subject is in no training of the starter models. A recipe trains on a few drawn pictures of it, captioned `a sks
robot <place> on <ground>`; with some methods (REPLAYS) it learns from captioned pictures of what the base knew, too,
and with dreambooth from class pictures that the base paints. Before and after, the same prompts are painted with the
same seeds: `gain` is the share of pictures of `a sks robot ...` in which the judge sees the subject; `cost` is, for
held-out prompts without the trigger, the share that shows each attribute that is asked for, `same` the share of their
pictures that not a bit of has changed. Differences are after minus before with their 95 % interval, paired by prompt.
The grid shows what was learned from, then some prompts with the trigger before and after, then some without before and
after. About 6 minutes on two cores.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline import bootstrap, models, plan, plugins
from pipeline.model_files import locate
from pipeline.recipe import Recipe, parse
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.starter import judge, pictures, quality, scene, wording
from pipeline.starter.collection import body
from pipeline.starter.drawing import Pixels
from pipeline.starter.scene import COLORS, PLACES
from pipeline.steps import measures
from pipeline.workspace import Workspace

ROOT = Path(__file__).parents[2]
SHOWN = 8
"""Pictures in a row of the grid."""
MOST_LOST = 0.05
"""Of the prompts without the trigger, that may lose an attribute."""
PROMPTS, PRIORS = 100, 192
TRIGGER, WORD = "sks", "<sks>"
INSIDE = ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "conv1", "conv2"]
SHARED: dict[str, Any] = {
    "batch_size": 8,
    "rank": 8,
    "target_modules": INSIDE,
    "caption_dropout": 0.1,
    # as the base was trained (datasets/starter-painter.yaml)
    "timestep_sampling": "logit_normal",
    "logit_mean": 0.4,
}
METHODS: dict[str, dict[str, Any]] = {
    "lora": {"method": "lora", "steps": 300, "learning_rate": 1e-3},
    "lora-alone": {"method": "lora", "steps": 300, "learning_rate": 1e-3},
    "lora-text": {"method": "lora", "steps": 300, "learning_rate": 1e-3, "text_encoder": True},
    "dreambooth": {"method": "dreambooth", "steps": 300, "learning_rate": 1e-3},
    "dreambooth-without": {"method": "dreambooth", "steps": 300, "learning_rate": 1e-3, "prior_weight": 0.0},
    "full": {"method": "full", "steps": 300, "learning_rate": 1e-4, "warmup_steps": 20},
    "textual-inversion": {
        "method": "textual_inversion",
        "steps": 600,
        "learning_rate": 5e-3,
        "placeholder": WORD,
        "vectors": 4,
        "initial_words": "a gray square with a gray circle",
    },
}
"""Settings of `train` by the name of what is tried."""
REPLAYS = ("lora", "lora-text", "full")
"""Those beside which captioned pictures of what the base model knew are learned from, too."""


def name_of(method: str, subject: str) -> str:
    """What captions and prompts call the subject."""
    return f"a {WORD}" if method == "textual-inversion" else f"a {TRIGGER} {subject}"


def recipe(photos: Path, subject: str, method: str, steps: int | None) -> Recipe:
    """A recipe that learns the subject from the pictures in `photos`."""
    word = WORD if method == "textual-inversion" else TRIGGER
    shared = {"rights": {"license": "CC0-1.0"}}
    sources: list[dict[str, Any]] = [{**shared, "path": str(photos), "class": subject, "trigger": word}]
    if method.startswith("dreambooth"):
        known = [wording.caption(scene.scene(number, held_out=False), seed=number) for number in range(PRIORS)]
        painted = {"prompts": known, "count": PRIORS, "guidance": quality.GUIDANCE, "steps": quality.STEPS}
        sources.append({**shared, "path": str(photos.parent / "class"), "role": "prior", "painted": painted})
    if method in REPLAYS:
        draw_known(photos.parent / "known")
        sources.append({**shared, "path": str(photos.parent / "known"), "role": "prior"})
    chosen = {**SHARED, **METHODS[method], **({"steps": steps} if steps else {})}
    every = chosen["steps"]
    return parse(
        {
            "name": "subject",
            "sources": sources,
            "rights": {"allow": ["CC0-1.0"]},
            "dedup": {"near": None},
            "split": {"held_out": 0.0},
            "caption": {"prefer_sidecar": True},
            "augment": {"views": 4, "transforms": [{"RandomBrightnessContrast": {"p": 0.5}}]},
            "buckets": {"resolution": 64, "step": 8},
            "train": {**chosen, "checkpoint_every": every},
            "evaluate": {"prompts": [f"{name_of(method, subject)} on a blue background"], "seeds": [1]},
        }
    )


def draw_known(folder: Path) -> None:
    """Draw pictures of what the base model was taught, captioned, for the training to go on with."""
    folder.mkdir()
    for number in range(PRIORS):
        drawn = pictures.picture(number, held_out=False)
        Image.fromarray(drawn.pixels).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"{drawn.caption}\n", encoding="utf-8")


def train(root: Path, subject: str, method: str, count: int, steps: int | None) -> tuple[models.Painter, float]:
    """Draw the pictures and run the recipe; what paints then, and the seconds."""
    photos = root / "photos"
    photos.mkdir()
    for number in range(count):
        drawn = pictures.subject(subject, 500 + number)
        Image.fromarray(drawn.pixels).save(photos / f"{number}.png")
        words = f"{name_of(method, subject)} {body(drawn.scene).removeprefix(f'a {subject} ')}"
        (photos / f"{number}.txt").write_text(f"{words}\n", encoding="utf-8")
    began, workspace = time.monotonic(), Workspace.create(root / "work")
    chosen = recipe(photos, subject, method, steps)
    made = Run.create(workspace, chosen, command="subject")
    tools = Tools(workspace, workers=1)
    for step in plan.ALL_STEPS:
        plan.do(made, step, tools)
    training = made.json("training")
    folder = workspace.root / "trainings" / training["folder"] / training["weights"]
    learned = plugins.load("methods", chosen.train.method, field="--method")
    return learned.load(measures.load_base(made, tools), folder), time.monotonic() - began


@dataclass(frozen=True)
class Seen:
    """What was painted with the trigger and without, and whether the judge sees what was asked for, by attribute."""

    found: dict[str, list[float]]
    named: list[Pixels]
    others: list[Pixels]

    def some(self) -> list[list[Pixels]]:
        """A row of the pictures with the trigger, and one of those without."""
        return [self.named[:: len(self.named) // SHOWN][:SHOWN], self.others[:SHOWN]]


def look(pipe: Any, seer: judge.Judge, subject: str, called: str) -> Seen:
    """Paint the prompts, and let the judge look for the subject and, without the trigger, for each attribute."""
    asked = [
        f"{called} {place} on a {color} background"
        for place in PLACES
        for color in COLORS
        if color not in ("orange", "gray")  # "an orange"; the robot's own colour
    ]
    named = quality.paint_prompts(pipe, asked)
    shown = seer.look(named)
    found = {"subject": [float(one["shape"] == subject) for one in shown]}
    scenes = quality.held_out(1, PROMPTS)
    others = quality.paint(pipe, scenes)
    for one, said in zip(scenes, seer.look(others), strict=True):
        truth = judge.truth(one)
        for name in quality.ALONE:
            found.setdefault(name, []).append(float(truth[name] == said[name]))
    return Seen(found, named, others)


def save_grid(path: Path, subject: str, before: Seen, after: Seen) -> None:
    """Rows of pictures: learned from, with the trigger before and after, without before and after."""
    learned = [pictures.subject(subject, 500 + number).pixels for number in range(SHOWN)]
    rows = [learned, *(row for pair in zip(before.some(), after.some(), strict=True) for row in pair)]
    whole = np.concatenate([np.concatenate([resized(one) for one in row], axis=1) for row in rows])
    Image.fromarray(whole).quantize(256).save(path, optimize=True)


def resized(picture: Pixels) -> Pixels:
    """At 96 px."""
    return np.asarray(Image.fromarray(picture).resize((96, 96), Image.Resampling.LANCZOS))


@cache
def untrained(subject: str, called: str) -> Seen:
    """What the base paints."""
    return look(models.load_pipeline("starter"), seer(), subject, called)


@cache
def seer() -> judge.Judge:
    """The starter's judge."""
    return judge.load(locate("starter").parent / "judge")


def measure(
    method: str, subject: str = "robot", *, count: int = 8, steps: int | None = None, grid: Path | None = None
) -> dict[str, Any]:
    """Train and look; the record, with its grid written where one is asked for."""
    called = name_of(method, subject)
    with tempfile.TemporaryDirectory() as root:
        painter, seconds = train(Path(root), subject, method, count, steps)
        before = untrained(subject, called)
        after = look(models.load_pipeline("starter", painter=painter), seer(), subject, called)
    if grid:
        save_grid(grid, subject, before, after)
    compared: dict[str, Any] = {
        name: {
            "before": round(sum(one) / len(one), 3),
            "after": round(sum(after.found[name]) / len(one), 3),
            **{key: round(value, 3) for key, value in asdict(bootstrap.paired(one, after.found[name])).items()},
        }
        for name, one in before.found.items()
    }
    return {
        "name": "subject",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "method": method,
        "subject": subject,
        "pictures": count,
        "settings": METHODS[method] | ({"steps": steps} if steps else {}),
        "gain": compared.pop("subject"),
        "cost": compared,
        "same": sum(np.array_equal(*pair) for pair in zip(before.others, after.others, strict=True)) / PROMPTS,
        "most_lost": MOST_LOST,
        "within": all(one["difference"] >= -MOST_LOST for one in compared.values()),
        "seconds": round(seconds, 1),
        "versions": {name: metadata.version(name) for name in ("torch", "diffusers", "peft", "gesso")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }


def record(found: dict[str, Any]) -> None:
    """Append to the kept records."""
    with (ROOT / "reports" / "benchmarks" / "subject.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(found) + "\n")


def main() -> None:
    """Measure, print one JSON object, and with --record append it to the kept records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=METHODS, default="lora", help="how it is learned")
    parser.add_argument("--subject", choices=pictures.SUBJECTS, default="robot", help="what is learned")
    parser.add_argument("--pictures", type=int, default=8, help="pictures to learn it from")
    parser.add_argument("--steps", type=int, help="steps of the training, if not the method's")
    parser.add_argument("--grid", type=Path, help="where to write pictures, as PNG")
    parser.add_argument("--record", action="store_true", help="append to reports/benchmarks/subject.jsonl")
    asked = parser.parse_args()
    found = measure(asked.method, asked.subject, count=asked.pictures, steps=asked.steps, grid=asked.grid)
    print(json.dumps(found))  # noqa: T201 (the benchmark's result)
    if asked.record:
        record(found)


if __name__ == "__main__":
    main()
