"""Step: fine-tune the base model on the training set, evaluating at checkpoints.

A training is named by what decides its weights and lies under that name in the workspace: a stopped one goes on, a
finished one is not repeated, whichever run asks.
"""

import functools
import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline import advice, imaging, learning, plugins, stopping
from pipeline.original import kinds
from pipeline.recipe import Recipe
from pipeline.run import Run
from pipeline.stage import Tools, note
from pipeline.steps import preflight, trainset
from pipeline.steps.evaluation import Evaluation
from pipeline.training import crew
from pipeline.workspace import write_bytes

DONE = "done.json"
"""In a training's folder once it is finished."""
SAID = ("memory", "time")
"""What is said before a training, even where nothing is amiss."""


def run(run: Run, tools: Tools) -> str:
    """Train, or find the training done; saves `training` with the folder of the weights.

    Told to stop by a signal, it ends with a checkpoint after the step at hand.

    Saves as `preflight` what is to be known before; what is amiss is said.

    Raises:
        RecipeError: the model and the optimizer's state alone are more than the machine's memory.
    """
    began = time.monotonic()
    if not (run.training / DONE).exists():
        _release()  # what captioned and encoded: preflight tells how much memory is free
    lines = preflight.of_run(run, device=tools.device)
    run.save_json("preflight", {"lines": preflight.plain(lines)})
    if not (run.training / DONE).exists():
        for line in lines:
            if line.advice or line.about in SAID:
                tools.say(line.words)
        advice.check(lines)
    computed = 0 if (run.training / DONE).exists() else run.train.steps
    facts = fit(run, tools)
    run.save_json("training", {**facts, "folder": run.training.name, "method": run.recipe.train.method})
    note(tools, "train", computed=computed, asked=facts["steps"], began=began)
    course = f", loss {facts['losses'][0]:.4f} to {facts['losses'][-1]:.4f}" if facts["losses"] else ""
    return f"{facts['steps']} steps{course}"


def fit(run: Run, tools: Tools, *, heard: Callable[[int], None] = lambda step: None) -> dict[str, Any]:  # noqa: ARG005
    """Do the training that the run asks for, unless it is done; its steps, its losses and where its weights lie.

    `heard` is told each step that was evaluated on the way, and ends the training by an exception.
    """
    recipe = run.recipe
    folder = run.training
    done = folder / DONE
    if not done.exists():
        from pipeline import models  # imports torch
        from pipeline.steps import measures
        from pipeline.training.job import Job

        model = measures.load_base(run, tools)
        at = Evaluation(run, tools, folder)
        at.step(0, lambda: model)
        method = plugins.load("methods", recipe.train.method, field="train.method")
        models.release()  # what captioned, encoded and painted makes room

        def look(step: int, current: Any) -> Any:  # noqa: ANN401 (diffusers has no types)
            if not at.due(step):
                return None
            at.step(step, lambda: current)
            at.limit(step)
            heard(step)
            return _seen(at, step)

        job = Job(
            folder,
            say=tools.say,
            on_checkpoint=look,
            before=_seen(at, 0),
            header=_header(run),
            progress=functools.partial(tools.progress, "train"),
            name=_named(run),
        )
        told = (model, _examples(run, tools), *measures.helpers(run), run.train, job)
        word = {"workspace": str(run.workspace.root.absolute()), "run": run.id, "recipe": _plain(recipe)}
        with stopping.patient(tools.say), crew.training(word, gpu=models.device_of(tools.device).startswith("cuda")):
            result = method.train(*told)
        tenth = max(1, len(result.losses) // 10)
        means = [
            sum(result.losses[start : start + tenth]) / len(result.losses[start : start + tenth])
            for start in range(0, len(result.losses), tenth)
        ]
        facts = {"steps": result.steps, "losses": means, "weights": str(result.folder.relative_to(folder))}
        write_bytes(done, json.dumps(facts).encode())
    return dict(json.loads(done.read_text()))


def _release() -> None:
    from pipeline import models  # imports torch

    models.release()


def _seen(at: Evaluation, step: int) -> Any:  # noqa: ANN401 (its module imports torch)
    """What was measured of one step, for boards: the mean loss of each split, the mean of each score, and samples."""
    from pipeline.training.boards import Seen

    values: dict[str, list[float]] = {}
    for name in ("losses", "values", "scores", "drifts"):
        for row in (row for row in at.rows(name) if row["step"] == step):
            of, metric = row.get("split", "samples"), row.get("metric", "stable_loss")
            values.setdefault(f"evaluation/{metric}, {of}", []).append(row["value"] if "value" in row else row["loss"])
    pictures = {
        f"samples/{row['prompt']}, seed {row['seed']}": imaging.decode(row["png"]).pixels
        for row in at.rows("samples")
        if row["step"] == step
    }
    return Seen({name: sum(found) / len(found) for name, found in values.items()}, pictures)


def join(run: Run, tools: Tools, ready: Callable[..., AbstractContextManager[None]]) -> None:
    """Take a share of a training that another process leads, within the context of `ready`; writes nothing."""
    from pipeline import models  # imports torch
    from pipeline.steps import measures
    from pipeline.training.job import Job

    method = plugins.load("methods", run.recipe.train.method, field="train.method")
    model = measures.load_base(run, tools)
    told = (model, _examples(run, tools), *measures.helpers(run), run.train, Job(run.training, header=_header(run)))
    with stopping.patient(lambda _: None), ready(gpu=models.device_of(tools.device).startswith("cuda")):
        method.train(*told)


def _plain(recipe: Recipe) -> str:
    return json.dumps(recipe.model_dump(mode="json", by_alias=True))


def _examples(run: Run, tools: Tools) -> Any:  # noqa: ANN401 (whichever the method reads)
    if learning.reads_latents(run.recipe):
        prior = any(row["split"] == "prior" for row in run.rows("views", ("split",)))
        examples = trainset.examples(run, "train", tools)
        return replace(examples, prior=trainset.examples(run, "prior", tools)) if prior else examples
    return trainset.pixels(run, [row for row in run.rows("views") if row["split"] == "train"], tools)


def _named(run: Run) -> Callable[[str], str]:
    """What names a sample by its file, where it came from one of this run's."""
    rows = run.rows("origins", ("sample_id", "origin"))
    files = {row["sample_id"]: Path(row["origin"]).name for row in rows if row["sample_id"]}
    return lambda sample_id: files.get(sample_id, sample_id)


def _header(run: Run) -> dict[str, str]:
    """What the weights' file says of where they come from; no times, so that the same training says the same."""
    base, learns = learning.locate(run.located), learning.learns(run.recipe)
    own = learning.hashes(run.located)
    return {
        "gesso_trainset_digest": run.json("trainset")["digest"],
        "gesso_base_model": _base_name(run, base),
        f"gesso_base_{learns}_sha256": own[learns] if learns in own else own[""],
        **({"gesso_from_scratch": "True"} if run.recipe.base_model.scratch else {}),
        "gesso_recipe": run.recipe.name,
        "modelspec.title": run.recipe.name,
        "modelspec.resolution": f"{run.recipe.buckets.resolution}x{run.recipe.buckets.resolution}",
    }


def _base_name(run: Run, folder: Path) -> str:
    """What people call the base model: `starter`, or the name of its folder or file."""
    named = run.recipe.base_model.id
    return named if named == "starter" else Path(named).name if kinds.is_file(named) else folder.name
