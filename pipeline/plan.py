"""The story of a run: which steps there are, in which order, and what each one does to the run's files."""

import importlib
from collections.abc import Mapping

from pipeline import plugins
from pipeline.errors import RecipeError
from pipeline.recipe import Recipe
from pipeline.run import Run
from pipeline.stage import Tools

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
    """Do one step of a run and record what its stages did; the step's own summary comes back."""
    try:
        said: str = importlib.import_module(f"pipeline.steps.{step}").run(run, tools)
    finally:
        run.record(tools)
    return said


def check(recipe: Recipe) -> None:
    """Find what is wrong with a recipe before anything is touched: names of plug-ins, columns, folders, transforms.

    Raises:
        RecipeError: a scorer, captioner, method, column or transform is unknown; the message suggests the nearest.
        InputError: a source's folder is not there.
        ModelError: the base model is not there and cannot be had.
    """
    import difflib

    from pipeline import augment, models
    from pipeline.errors import InputError
    from pipeline.steps.measure import measurers, params_of

    columns = [name for measurer, _ in measurers(recipe) for name in measurer.ADDS.names]
    for column in recipe.select:
        if column not in columns:
            scorer = column.partition("__")[0]
            known = {name.partition("__")[0] for name in columns}
            near = difflib.get_close_matches(column, columns, 1) or difflib.get_close_matches(scorer, known, 1)
            remedy = f"Did you mean {near[0]!r}?" if near else "`gesso list scorers` shows the columns."
            raise RecipeError("no scorer measures this column", field=f"select.{column}", value=column, remedy=remedy)
    captioner = plugins.load("captioners", recipe.caption.captioner, field="caption.captioner")
    params_of(captioner, recipe.caption.captioner_params, field="caption.params")
    plugins.load("methods", recipe.train.method, field="train.method")
    augment.check(recipe.augment.transforms)
    for position, source in enumerate(recipe.sources):
        if not source.path.is_dir():
            raise InputError(
                "there is no such folder",
                field=f"sources.{position}.path",
                value=str(source.path),
                remedy=f"Name a folder of pictures, or set it with --set sources.{position}.path=FOLDER.",
            )
    models.locate(recipe.base_model.id, recipe.base_model.revision)
