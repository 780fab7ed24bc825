"""A recipe: frozen models of everything that decides what comes out. It says what, never where.

Written in YAML, one file a dataset, under `datasets/`. Unknown keys are refused with the nearest known one.
"""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, Field, ValidationError

from pipeline.errors import InputError, RecipeError
from pipeline.manifest import digest
from pipeline.settings import (
    Allow,
    Augment,
    BaseModelRef,
    Buckets,
    Caption,
    Dedup,
    Evaluate,
    Limit,
    Part,
    Review,
    Source,
    Split,
)
from pipeline.training.settings import TrainSettings


class Recipe(Part):
    """A whole recipe; its digest names what it asks for."""

    name: str = Field(description="name of the dataset and of what is made of it", pattern=r"^[\w.-]{1,64}$")
    sources: tuple[Source, ...] = Field(min_length=1, description="where pictures come from")
    dedup: Dedup = Field(Dedup(), description="which pictures count as the same")
    scorers: dict[str, dict[str, Any]] = Field({}, description="scorers' own parameters, by scorer")
    select: dict[str, Limit] = Field({}, description="limits by column (<scorer>__<value>); `gesso list scorers`")
    rights: Allow = Field(Allow(), description="which licences may be used")
    split: Split = Field(Split(), description="what is kept from training to measure on")
    caption: Caption = Field(Caption(), description="where captions come from")
    review: Review = Field(Review(), description="what people have to decide before training")
    augment: Augment = Field(Augment(), description="further views of each training picture")
    buckets: Buckets = Field(Buckets(), description="sizes that pictures are brought to")
    base_model: BaseModelRef = Field(BaseModelRef(), description="the model that is fine-tuned")
    train: TrainSettings = Field(TrainSettings(), description="how it is fine-tuned")
    evaluate: Evaluate = Field(Evaluate(), description="what is rendered and measured at checkpoints")

    @property
    def digest(self) -> str:
        """SHA-256 of the recipe in canonical form."""
        return digest(self.model_dump(mode="json", by_alias=True))

    def yaml(self) -> str:
        """The resolved recipe, every default written out."""
        return yaml.safe_dump(self.model_dump(mode="json", by_alias=True), sort_keys=False, allow_unicode=True)


def load(path: Path, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply `a.b.0.c=value` settings, whose values are YAML.

    Raises:
        InputError: the file is not there or a setting cannot be read.
        RecipeError: it is no valid recipe; the message names the key, the value and what would do.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise InputError(
            f"the recipe cannot be read ({reason})",
            field="RECIPE",
            value=str(path),
            remedy="Name a YAML file, such as one under datasets/.",
        ) from error
    except yaml.YAMLError as error:
        raise RecipeError(
            f"this is not YAML: {' '.join(str(error).split())}", field=str(path), remedy="Mend the line it names."
        ) from error
    if not isinstance(data, dict):
        raise RecipeError("a recipe is a mapping of keys", field=str(path), remedy="Start with `name:` and `sources:`.")
    for setting in settings:
        _set(data, setting)
    return parse(data)


def parse(data: dict[str, Any]) -> Recipe:
    """Check a recipe given as plain data.

    Raises:
        RecipeError: with the key's path, its value and the remedy.
    """
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise _explain(error, data) from error


def _set(data: dict[str, Any], setting: str) -> None:
    keys, equals, text = setting.partition("=")
    path = keys.split(".")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        equals = ""
        value = None
    if not equals or not all(path):
        raise InputError(
            "a setting is KEY=VALUE", field="--set", value=setting, remedy="Write for instance --set train.steps=200."
        )
    place: Any = data
    for position, key in enumerate(path):
        last = position == len(path) - 1
        if isinstance(place, list):
            if not key.isdigit() or int(key) >= len(place):
                raise InputError(
                    f"there is no item {key!r} in {'.'.join(path[:position])}",
                    field="--set",
                    value=setting,
                    remedy=f"It has {len(place)} items, counted from 0.",
                )
            index: Any = int(key)
        elif isinstance(place, dict):
            index = key
            if not last and place.get(key) is None:
                place[key] = {}
        else:
            raise InputError(
                f"{'.'.join(path[:position])} has no keys", field="--set", value=setting, remedy="Set it as a whole."
            )
        if last:
            place[index] = value
        else:
            place = place[index]


def _explain(error: ValidationError, data: object) -> RecipeError:
    first = error.errors()[0]
    place = [str(part) for part in first["loc"]]
    field = ".".join(part for part in place if not part[:1].isupper() and "[" not in part)
    more = f" ({error.error_count() - 1} more problems after this one)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        known = _keys_at(place[:-1])
        near = difflib.get_close_matches(place[-1], known, 1)
        remedy = f"Did you mean {near[0]!r}?" if near else f"Known keys: {', '.join(sorted(known))}."
        return RecipeError("this key is unknown", field=field, value=place[-1], remedy=remedy + more)
    if first["type"] == "missing":
        return RecipeError("this key is missing", field=field, remedy=f"Add `{place[-1]}:`.{more}")
    message = first["msg"].removeprefix("Value error, ")
    return RecipeError(
        message[0].lower() + message[1:], field=field, value=first["input"], remedy=_remedy(place) + more
    )


def _model_at(place: Sequence[str]) -> Any:  # noqa: ANN401 (a model class or None)
    model: Any = Recipe
    for key in place:
        if key.isdigit():
            continue
        found = _field(model, key)
        if found is None:
            return None
        candidates = [found.annotation, *getattr(found.annotation, "__args__", ())]
        model = next((one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)), None)
        if model is None:
            return None
    return model


def _field(model: Any, key: str) -> Any:  # noqa: ANN401
    if model is None:
        return None
    return next((field for name, field in model.model_fields.items() if key in (name, field.alias)), None)


def _keys_at(place: Sequence[str]) -> list[str]:
    model = _model_at(place)
    return [] if model is None else [field.alias or name for name, field in model.model_fields.items()]


def _remedy(place: Sequence[str]) -> str:
    known = [key for key in place if not key[:1].isupper() and "[" not in key]
    for cut in range(len(known), 0, -1):
        field = _field(_model_at(known[: cut - 1]), known[cut - 1])
        if field is not None and field.description:
            return f"It is: {field.description}."
    return "See `gesso recipe schema`."
