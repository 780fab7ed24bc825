"""Finds plug-ins (of the kinds below): each is one file, and the file's name is its name."""

import ast
import difflib
import importlib.util
import pkgutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.errors import RecipeError

KINDS = ("sources", "scorers", "judges", "captioners", "methods", "metrics", "exports")


def names(kind: str) -> list[str]:
    """Names of all plug-ins of a kind (a package below `pipeline`), sorted, without importing them."""
    package = importlib.import_module(f"pipeline.{kind}")
    return sorted(found.name for found in pkgutil.iter_modules(package.__path__) if not found.name.startswith("_"))


def find(kind: str, name: str, *, field: str) -> None:
    """See that there is a plug-in of this name, without importing it.

    Raises:
        RecipeError: there is none; the message suggests the nearest, and names `field`.
    """
    known = names(kind)
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        remedy = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(known)}."
        raise RecipeError(f"there is no such {kind.removesuffix('s')}", field=field, value=name, remedy=remedy)


def facts(kind: str, name: str) -> dict[str, Any]:
    """What a plug-in's file says of itself, without importing it: its literal constants, such as DESCRIPTION.

    Methods and metrics import torch, which takes seconds that a list of them should not cost.

    Raises:
        RecipeError: there is none of this name; `field` is its kind.
    """
    find(kind, name, field=kind)
    spec = importlib.util.find_spec(f"pipeline.{kind}.{name}")
    found = {}
    for node in ast.parse(Path(str(spec and spec.origin)).read_text(encoding="utf-8")).body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=constant)], value=value)
                | ast.AnnAssign(target=ast.Name(id=constant), value=ast.expr() as value)
            ):
                with suppress(ValueError):
                    found[constant] = ast.literal_eval(value)
    return found


def limits(judges: Iterable[str] = ()) -> dict[str, dict[str, float]]:
    """The default limits of all scorers, and of some judges, by column: `min`, `max` or both; imports none of them."""
    found = [("scorers", name) for name in names("scorers")] + [("judges", name) for name in judges]
    return {column: limit for one in found for column, limit in facts(*one).get("LIMITS", {}).items()}


def load(kind: str, name: str, *, field: str) -> Any:  # noqa: ANN401 (a module, whose contract depends on the kind)
    """Import a plug-in.

    Raises:
        RecipeError: there is none of this name; the message suggests the nearest, and names `field`.
    """
    find(kind, name, field=field)
    return importlib.import_module(f"pipeline.{kind}.{name}")


def load_all(kind: str) -> dict[str, ModuleType]:
    """Every plug-in of a kind by name."""
    return {name: importlib.import_module(f"pipeline.{kind}.{name}") for name in names(kind)}
