"""Builds the starter models from nothing but seeds: `gesso starter build`.

Pictures are drawn, the recipes `datasets/starter-*.yaml` train one model each as anybody's recipe would, and what one
has made the next begins with. The order is that of Stable Diffusion: a VAE, a CLIP whose text encoder conditions, then
a UNet over the VAE's latents, and then the UNet and the text encoder along with each other; beside them a BLIP that
captions. Built again, it goes on where it was stopped.

    FOLDER/pictures/{seen,told,clutter}    what they learn from
    FOLDER/models/{vae,clip,blip,sd}       what each recipe begins with
    FOLDER/workspace                       gesso's own: runs, reports, trainings
    FOLDER/weights/{sd,clip,blip}          the models, in float16, and record.json
"""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from pipeline import plan
from pipeline.errors import InputError
from pipeline.recipe import Recipe, load, parse
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.starter import lessons, parts
from pipeline.workspace import Workspace, write_bytes

RECIPES = Path(__file__).parents[2] / "datasets"
PARTS = ("vae", "clip", "blip", "unet", "painter")
COUNTS = {"seen": 20_000, "told": 40_000, "clutter": 6_000}
"""Pictures by folder: with captions in many wordings, in one plain wording, and of nothing that has a name."""
LEAST_PICTURES, LEAST_STEPS = 64, 2


def build(
    folder: Path,
    *,
    tools: Callable[[Workspace], AbstractContextManager[Tools]],
    scale: float = 1.0,
    only: Sequence[str] = PARTS,
) -> str:
    """Build those parts that are named in `only`, and measure all once they are there; the record comes back as JSON.

    `scale` is the share of the steps and, up to 1, of the pictures. `tools` makes a run's tools for a workspace.

    Raises:
        InputError: a part is unknown, or the folder was begun with another scale.
        ModelError: a part is asked for before those that it begins with.
    """
    _check(folder, scale, only)
    workspace = Workspace.create(folder / "workspace")
    with tools(workspace) as used:
        counts = {kind: max(LEAST_PICTURES, round(count * min(1.0, scale))) for kind, count in COUNTS.items()}
        lessons.draw(folder / "pictures", counts, say=used.say)
        parts.write_architectures(folder / "models")
        for part in [one for one in PARTS if one in only]:
            _build(part, folder, used, scale=scale)
        record = _record(folder)
        if all(part in record for part in PARTS) and "measured" not in record:
            record["measured"] = parts.measure(folder / "weights", folder / "work", scale=scale, say=used.say)
            write_bytes(folder / "weights" / "record.json", json.dumps(record, indent=1).encode())
    return json.dumps(record, indent=1)


def recipe(part: str, folder: Path, *, scale: float = 1.0) -> Recipe:
    """The recipe of a part, with `folder` in the place of `starter` and `scale` times its steps."""
    data = load(RECIPES / f"starter-{part}.yaml").model_dump(mode="json", by_alias=True)
    for source in data["sources"]:
        source["path"] = str(folder / Path(source["path"]).relative_to("starter"))
    data["base_model"]["id"] = str(folder / Path(data["base_model"]["id"]).relative_to("starter"))
    if data["evaluate"]["prompts"]:
        data["evaluate"]["clip"] = str(folder / Path(data["evaluate"]["clip"]).relative_to("starter"))
    steps = max(LEAST_STEPS, round(data["train"]["steps"] * scale))
    data["train"] |= {"steps": steps, "warmup_steps": min(data["train"]["warmup_steps"], steps // 10)}
    return parse(data)


def _build(part: str, folder: Path, tools: Tools, *, scale: float) -> None:
    began = time.monotonic()
    chosen = recipe(part, folder, scale=scale)
    run = _train(chosen, tools, command=f"gesso starter build --to {folder} --parts {part}")
    trained = run.json("training")
    if _record(folder).get(part, {}).get("training") == trained["folder"]:
        return
    parts.hand_on(part, tools.workspace.root / "trainings" / trained["folder"] / trained["weights"], folder)
    seconds = time.monotonic() - began
    _note(folder, part, run, seconds=seconds)
    tools.say(f"{part}: done in {seconds / 60:.1f} min")


def _train(chosen: Recipe, tools: Tools, *, command: str) -> Run:
    plan.check_all(chosen)
    with tools.workspace.hold(doing=command):
        run = Run.create(tools.workspace, chosen, command=command)
        for step in plan.ALL_STEPS:
            tools.say(f"{chosen.name}: {step}: {plan.do(run, step, tools)}")
    return run


def _check(folder: Path, scale: float, only: Sequence[str]) -> None:
    if unknown := [one for one in only if one not in PARTS]:
        raise InputError(
            "there is no such part", field="--parts", value=unknown[0], remedy=f"There are: {', '.join(PARTS)}."
        )
    if not (RECIPES / "starter-vae.yaml").is_file():
        raise InputError(
            "the starter's recipes are not in this installation",
            field="starter build",
            value=str(RECIPES),
            remedy="Run it from a copy of gesso's repository, installed with `pip install -e .`.",
        )
    told = folder / "scale.json"
    if told.exists() and json.loads(told.read_text()) != scale:
        raise InputError(
            "this folder was begun with another share of the steps",
            field="--steps-scale",
            value=scale,
            remedy=f"Name another folder, or go on with {json.loads(told.read_text())}.",
        )
    write_bytes(told, json.dumps(scale).encode())


def _note(folder: Path, part: str, run: Run, *, seconds: float) -> None:
    """Keep what the building of a part took; of one that was stopped, the time of its last call."""
    record = _record(folder)
    record.pop("measured", None)
    trained, told = run.json("training"), run.json("run")
    record[part] = {
        "training": trained["folder"],
        "steps": trained["steps"],
        "seconds": round(seconds, 1),
        "losses": [round(one, 5) for one in trained["losses"]],
        "pictures": run.json("trainset")["rows"],
        "trainset": run.json("trainset")["digest"],
        "measures": {f"{row['name']}, {row['of']}": round(row["after"], 4) for row in run.rows("metrics")},
        "machine": told["machine"],
    }
    write_bytes(folder / "weights" / "record.json", json.dumps(record, indent=1).encode())


def _record(folder: Path) -> dict[str, Any]:
    path = folder / "weights" / "record.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}
