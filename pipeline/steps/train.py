"""Step: fine-tune the base model on the training set, evaluating at checkpoints.

A training is named by what decides its weights and lies under that name in the workspace: a stopped one goes on, a
finished one is not repeated, whichever run asks.
"""

import functools
import json
import time
from pathlib import Path

from pipeline import plugins, stopping
from pipeline.model_files import locate, weights_hash
from pipeline.run import Run
from pipeline.stage import Tools, note
from pipeline.steps.evaluation import Evaluation
from pipeline.steps.trainset import examples
from pipeline.workspace import write_bytes


def run(run: Run, tools: Tools) -> str:
    """Train, or find the training done; saves `training` with the folder of the weights.

    Told to stop by a signal, it ends with a checkpoint after the step at hand.
    """
    began = time.monotonic()
    recipe, base = run.recipe, run.recipe.base_model
    located = locate(base.id, base.revision)
    folder = run.training
    done = folder / "done.json"
    computed = 0
    if not done.exists():
        from pipeline import models  # imports torch
        from pipeline.steps import measures

        data = examples(run, "train", tools)
        unet = models.load_unet(base.id, revision=base.revision, device=tools.device)
        at = Evaluation(run, tools, folder)
        at.step(0, lambda: unet)
        method = plugins.load("methods", recipe.train.method, field="train.method")
        with stopping.patient(tools.say):
            result = method.train(
                unet,
                data,
                measures.load_scheduler(run),
                recipe.train,
                folder=folder,
                on_checkpoint=lambda step, current: at.step(step, lambda: current) if at.due(step) else None,
                say=tools.say,
                progress=functools.partial(tools.progress, "train"),
                header=_header(run, located),
            )
        computed = result.steps
        tenth = max(1, len(result.losses) // 10)
        means = [
            sum(result.losses[start : start + tenth]) / len(result.losses[start : start + tenth])
            for start in range(0, len(result.losses), tenth)
        ]
        facts = {"steps": result.steps, "losses": means, "weights": str(result.folder.relative_to(folder))}
        write_bytes(done, json.dumps(facts).encode())
    facts = json.loads(done.read_text())
    run.save_json("training", {**facts, "folder": folder.name, "method": recipe.train.method})
    note(tools, "train", computed=computed, asked=facts["steps"], began=began)
    return f"{facts['steps']} steps, loss {facts['losses'][0]:.4f} to {facts['losses'][-1]:.4f}"


def _header(run: Run, base: Path) -> dict[str, str]:
    """What the weights' file says of where they come from; no times, so that the same training says the same."""
    return {
        "gesso_trainset_digest": run.json("trainset")["digest"],
        "gesso_base_model": run.recipe.base_model.id if run.recipe.base_model.id == "starter" else base.name,
        "gesso_base_unet_sha256": weights_hash(base, "unet"),
        "gesso_recipe": run.recipe.name,
        "modelspec.title": run.recipe.name,
    }
