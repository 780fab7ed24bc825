"""Step: decode every new picture once and measure all there is to measure on it."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ValidationError

from pipeline import fused, plugins
from pipeline.dedup import perceptual, turned
from pipeline.errors import RecipeError
from pipeline.manifest import join
from pipeline.recipe import Recipe
from pipeline.run import Run
from pipeline.stage import Tools, ensure


def measurers(recipe: Recipe) -> list[tuple[fused.Measurer, BaseModel]]:
    """Every scorer with the recipe's parameters for it, the perceptual hash, and those of other ways to lie if asked.

    Raises:
        RecipeError: the recipe has parameters for a scorer that does not exist, or wrong ones.
    """
    for name in recipe.scorers:
        plugins.load("scorers", name, field=f"scorers.{name}")
    found: list[tuple[Any, BaseModel]] = []
    for name, module in plugins.load_all("scorers").items():
        found.append((module, params_of(module, recipe.scorers.get(name, {}), field=f"scorers.{name}")))
    return [*found, *comparers(recipe)]


def comparers(recipe: Recipe) -> list[tuple[fused.Measurer, BaseModel]]:
    """What pictures are compared by: the perceptual hash, and where it is asked for that of each way to lie."""
    lying: list[tuple[Any, BaseModel]] = [(turned, turned.Params())] if turned.asked(recipe.dedup.near) else []
    return [(perceptual, perceptual.Params()), *lying]


def judges(recipe: Recipe) -> list[tuple[Any, BaseModel]]:
    """The judges that the recipe names, with their parameters.

    Raises:
        RecipeError: there is no such judge, or it has no such parameter.
    """
    found = []
    for name, values in recipe.judges.items():
        module = plugins.load("judges", name, field=f"judges.{name}")
        found.append((module, params_of(module, values, field=f"judges.{name}")))
    return found


def params_of(module: Any, values: dict[str, Any], *, field: str) -> BaseModel:  # noqa: ANN401 (a plug-in)
    """A plug-in's parameters, checked.

    Raises:
        RecipeError: a parameter is unknown or out of range.
    """
    try:
        params: BaseModel = module.Params(**values)
    except ValidationError as error:
        first = error.errors()[0]
        known = ", ".join(module.Params.model_fields) or "none"
        place = ".".join([field, *map(str, first["loc"])])
        raise RecipeError(
            first["msg"][0].lower() + first["msg"][1:],
            field=place,
            value=first["input"],
            remedy=f"Its parameters: {known}.",
        ) from error
    return params


def measured(asked: fused.Measurers, samples: Mapping[str, str], tools: Tools) -> pa.Table:
    """What measurers, `canonical` among them, find on samples (by id, with a file name), and each one's `pixel_id`."""
    table = pa.table({"sample_id": pa.array(sorted(samples), pa.string())})
    for one in fused.measure(asked, samples, tools).values():
        table = join(table, one.table() if "error" not in table.column_names else one.table().drop_columns(["error"]))
    return table.append_column("pixel_id", table["canonical__pixel_id"])


def run(run: Run, tools: Tools) -> str:
    """Save the table `samples`: sample_id, every measured column, and `error` where a picture cannot be decoded."""
    origins = run.rows("origins", ("sample_id", "origin", "mask_of", "sidecar"))
    names = {row["sample_id"]: row["origin"] for row in origins if row["sample_id"] and not row["mask_of"]}
    table = measured(measurers(run.recipe), names, tools)
    captions = {row["sample_id"]: row["sidecar"] for row in reversed(origins) if row["sidecar"]}
    sound = [row["sample_id"] for row in table.select(["sample_id", "error"]).to_pylist() if not row["error"]]
    for module, params in judges(run.recipe):
        rows = [{"sample_id": one, "sidecar": captions.get(one, "")} for one in sound]
        judged = ensure(module, rows, params, tools, weights=module.weights(params)).table()
        table = join(table, judged.drop_columns(["error"]))
    run.save("samples", table)
    bad = len(table) - table["error"].null_count
    return f"{len(table)} contents, {bad} of them no pictures"
