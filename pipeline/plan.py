"""The story of a run: which steps there are, in which order, and what each one does to the run's files."""

import difflib
import importlib
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from pipeline import atomic, augment, learning, model_files, plugins
from pipeline.arrow import give_memory_back
from pipeline.errors import DamagedError, InputError, RecipeError
from pipeline.original import kinds, single
from pipeline.recipe import Recipe
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.steps.measure import judges, measurers, params_of

log = logging.getLogger(__name__)

STEPS: Mapping[str, tuple[str, ...]] = {
    "prepare": ("ingest", "measure", "select", "caption"),
    "review": ("review",),
    "assemble": ("trainset",),
    "train": ("train",),
    "evaluate": ("evaluate",),
    "report": ("report",),
}
"""The steps of each flow, in order; a step is a file in `pipeline/steps`."""

ALL_STEPS = tuple(step for steps in STEPS.values() for step in steps)


def do(run: Run, step: str, tools: Tools) -> str:
    """Do one step of a run and record what its stages did; the step's own summary comes back.

    Where it meets a stage's file that is damaged, that is set aside and the step done again, which computes what is
    missing then.

    Raises:
        DiskError: the run's folder has gone away, or the disk damages what is written.
    """
    run.check()
    module, met = importlib.import_module(f"pipeline.steps.{step}"), set[Path]()
    try:
        while True:
            try:
                return str(module.run(run, tools))
            except DamagedError as error:
                path = Path(error.field)
                if path in met or not run.workspace.computed(path):
                    raise
                met.add(path)
                log.warning("%s: %s", step, error)
                tools.say(
                    f"{path} is damaged; it is now {atomic.set_aside(path).name}, and its rows are computed again"
                )
    finally:
        run.record(tools)
        give_memory_back()


def check(recipe: Recipe) -> None:
    """Find what can be found wrong with a recipe within a second or two: folders, names of plug-ins, columns, paths.

    Raises:
        RecipeError: a scorer, captioner, method or column is unknown; the message suggests the nearest.
        InputError: a source is not there, or two are the same.
        ModelError: a model's folder is not there, or what is there is no model.
    """
    for position, source in enumerate(recipe.sources):
        plugins.load("sources", source.kind, field=f"sources.{position}.kind").check(source, position)
        if source.path in [one.path for one in recipe.sources[:position]]:
            raise InputError(
                "two sources name the same files",
                field=f"sources.{position}.path",
                value=str(source.path),
                remedy="Take one away, or let their folders not overlap.",
            )
    for position, one in enumerate(recipe.contamination.against):
        if not one.path.is_dir():
            raise InputError(
                "there is no such folder",
                field=f"contamination.against.{position}.path",
                value=str(one.path),
                remedy="Name a folder of pictures that must not be trained on.",
            )
    plugins.find("captioners", recipe.caption.captioner, field="caption.captioner")
    if recipe.caption.tags:
        plugins.find("captioners", recipe.caption.tags.tagger, field="caption.tags.tagger")
    plugins.find("methods", recipe.train.method, field="train.method")
    if recipe.train.log_with and find_spec(recipe.train.log_with) is None:
        raise RecipeError(
            "it is not installed",
            field="train.log_with",
            value=recipe.train.log_with,
            remedy=f"Install it (pip install {recipe.train.log_with}), or leave it out: TensorBoard has the same.",
        )
    _check_columns(recipe)
    _check_single(recipe)
    for model in _models(recipe):
        if not model.on_hub:
            model.locate()


def check_all(recipe: Recipe, steps: Collection[str] = ALL_STEPS) -> None:
    """Find all that is wrong with a recipe before anything is touched, fetching the models that `steps` need.

    Raises:
        RecipeError: what `check` raises, and: a transform or a parameter of the captioner is unknown or out of range.
        InputError: a source's folder is not there.
        ModelError: a model is not there and cannot be had.
    """
    check(recipe)
    if "caption" in steps:
        captioner = plugins.load("captioners", recipe.caption.captioner, field="caption.captioner")
        captioner.weights(params_of(captioner, recipe.caption.captioner_params, field="caption.params"))
        if tags := recipe.caption.tags:
            tagger = plugins.load("captioners", tags.tagger, field="caption.tags.tagger")
            tagger.weights(params_of(tagger, tags.tagger_params, field="caption.tags.params"))
    if "trainset" in steps:
        augment.check(recipe.augment.transforms)
    for model in _models(recipe):
        if model.step in steps:
            model.locate()
            if kinds.is_file(model.reference):
                from pipeline.original import unpack  # imports torch

                unpack.checked(single.wanted(model.reference, prediction=model.prediction, config=model.config))


@dataclass(frozen=True)
class _Model:
    step: str
    reference: str
    revision: str | None
    part: str
    field: str
    untrained: str | None = None
    prediction: str | None = None
    config: str | None = None

    @property
    def on_hub(self) -> bool:
        return model_files.on_hub(self.reference)

    def locate(self) -> None:
        if kinds.is_file(self.reference) and self.part in model_files.COMPONENTS:
            single.wanted(self.reference, prediction=self.prediction, config=self.config)
        else:
            model_files.locate(
                self.reference, self.revision, part=self.part, untrained=self.untrained, field=self.field
            )


def _models(recipe: Recipe) -> list[_Model]:
    """The models that a recipe names, each with the first step that needs it; a captioner knows its own."""
    base = recipe.base_model
    part, untrained = learning.part(recipe), learning.untrained(recipe)
    told = (base.prediction, base.config)
    found = [_Model("trainset", base.id, base.revision, part, "base_model.id", untrained, *told)]
    if (recipe.evaluate.prompts or recipe.evaluate.general_prompts) and part == "base":
        found.append(_Model("evaluate", recipe.evaluate.clip, None, "clip", "evaluate.clip"))
    if alike := recipe.dedup.embedding:
        found.append(_Model("select", alike.clip, alike.revision, "open_clip", "dedup.embedding.clip"))
    caption = recipe.caption
    if caption.fit or "clip" in caption.rerank:
        field = "evaluate.clip" if caption.clip is None else "caption.clip"
        found.append(_Model("caption", caption.clip or recipe.evaluate.clip, None, "open_clip", field))
    if "itm" in caption.rerank:
        found.append(_Model("caption", str(caption.matcher), None, "blip", "caption.matcher"))
    return found


def _check_single(recipe: Recipe) -> None:
    """See that what is told of a single file is told of one."""
    base = recipe.base_model
    for name, value in (("prediction", base.prediction), ("config", base.config)):
        if value is not None and not kinds.is_file(base.id):
            raise RecipeError(
                "this is told of a single .safetensors file alone: a folder says so itself",
                field=f"base_model.{name}",
                value=value,
                remedy="Leave it out, or name a single file as base_model.id.",
            )


def _check_columns(recipe: Recipe) -> None:
    measured = [*measurers(recipe), *judges(recipe)]
    columns = [name for one, _ in measured for name in one.ADDS.names]
    named = [(f"select.{one}", one) for one in recipe.select]
    named += [("dedup.keep", one.removeprefix("-")) for one in recipe.dedup.order]
    for field, column in named:
        if column not in columns:
            scorer = column.partition("__")[0]
            known = {name.partition("__")[0] for name in columns}
            near = difflib.get_close_matches(column, columns, 1) or difflib.get_close_matches(scorer, known, 1)
            remedy = f"Did you mean {near[0]!r}?" if near else "`gesso list scorers` shows the columns."
            raise RecipeError("no scorer measures this column", field=field, value=column, remedy=remedy)
