"""A recipe: frozen models of everything that decides what comes out. It says what, never where.

Written in YAML, one file a dataset, under `datasets/`. Unknown keys are refused with the nearest known one, and so is
a key that comes twice. As in YAML 1.2, `no`, `off`, `yes` and `on` are words: only `true` and `false` are truth values.
"""

import difflib
import re
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, Field, ValidationError

from pipeline import plugins
from pipeline.captioning import Caption
from pipeline.duplicates import Contamination, Dedup
from pipeline.errors import InputError, RecipeError
from pipeline.manifest import digest
from pipeline.ranges import Tune
from pipeline.settings import Allow, Augment, BaseModelRef, Buckets, Evaluate, Limit, Part, Review, Source, Split
from pipeline.training.settings import TrainSettings


class Recipe(Part):
    """A whole recipe; its digest names what it asks for."""

    name: str = Field(description="name of the dataset and of what is made of it", pattern=r"^[\w.-]{1,64}$")
    sources: tuple[Source, ...] = Field(min_length=1, description="where pictures come from")
    dedup: Dedup = Field(Dedup(), description="which pictures count as the same")
    scorers: dict[str, dict[str, Any]] = Field({}, description="scorers' own parameters, by scorer")
    judges: dict[str, dict[str, Any]] = Field(
        {}, description="models that judge pictures, each with its parameters, such as nsfw: {}; `gesso list judges`"
    )
    select: dict[str, Limit | None] = Field(
        {}, description="limits by column (<scorer>__<value>), null for none; `gesso list scorers`"
    )
    default_limits: bool = Field(
        default=False, description="each scorer's default limits hold too, for the columns that select does not name"
    )
    rights: Allow = Field(Allow(), description="which licences may be used")
    split: Split = Field(Split(), description="what is kept from training to measure on")
    contamination: Contamination = Field(Contamination(), description="what training must not have seen")
    caption: Caption = Field(Caption(), description="where captions come from")
    review: Review = Field(Review(), description="what people have to decide before training")
    augment: Augment = Field(Augment(), description="further views of each training picture")
    buckets: Buckets = Field(Buckets(), description="sizes that pictures are brought to")
    base_model: BaseModelRef = Field(BaseModelRef(), description="the model that is fine-tuned")
    train: TrainSettings = Field(TrainSettings(), description="how it is fine-tuned")
    evaluate: Evaluate = Field(Evaluate(), description="what is rendered and measured at checkpoints")
    tune: Tune = Field(Tune(), description="which settings `gesso tune` searches; decides nothing of a run")

    @property
    def rules(self) -> dict[str, Limit]:
        """The limits that hold: those of `select` in its order, then the scorers' own where they are asked for."""
        own = plugins.limits(self.judges) if self.default_limits else {}
        said = {column: limit for column, limit in self.select.items() if limit is not None}
        return said | {column: Limit(**limit) for column, limit in own.items() if column not in self.select}

    @property
    def digest(self) -> str:
        """SHA-256 of the recipe in canonical form, but for what a search may try."""
        return digest(self.model_dump(mode="json", by_alias=True, exclude={"tune"}))

    def yaml(self) -> str:
        """The resolved recipe, every default written out."""
        return yaml.safe_dump(self.model_dump(mode="json", by_alias=True), sort_keys=False, allow_unicode=True)


class _Loader(yaml.SafeLoader):
    """YAML as a recipe means it."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key in [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key.value!r} comes twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("true|True|TRUE|false|False|FALSE"), list("tTfF"))


def _yaml(text: str) -> Any:  # noqa: ANN401 (whatever is written)
    """What a YAML text says.

    Raises:
        yaml.YAMLError: it says nothing; also for an impossible date and for nesting without end.
    """
    try:
        return yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
    except (ValueError, RecursionError) as error:
        raise yaml.YAMLError(str(error)) from error


def load(path: Path, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply `a.b.0.c=value` settings, whose values are YAML.

    Raises:
        InputError: the file is not there or a setting cannot be read.
        RecipeError: it is no valid recipe; the message names the key, the value and what would do.
    """
    try:
        data = _yaml(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise InputError(
            f"the recipe cannot be read ({reason})",
            field="RECIPE",
            value=str(path),
            remedy="Name a YAML file, such as one under datasets/.",
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        raise RecipeError(f"this is no YAML: {problem}", field=f"{path}{where}", remedy="Mend that line.") from error
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
    remedy = "Write for instance --set train.steps=200."
    try:
        value = _yaml(text)
    except yaml.YAMLError:
        equals = ""
        value = None
        remedy = (
            "Write for instance --set train.steps=200; put text that is no YAML into quotes of its own: "
            f"--set '{keys}=\"{text}\"'."
        )
    if not equals or not all(path):
        raise InputError("a setting is KEY=VALUE", field="--set", value=setting, remedy=remedy)
    place: Any = data
    for position, key in enumerate(path):
        last = position == len(path) - 1
        if isinstance(place, list):
            if not key.isdecimal() or int(key) >= len(place):
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
    place = _place(first["loc"], data, complete=first["type"] != "missing")
    field = ".".join(place)
    more = f" ({error.error_count() - 1} more problems after this one)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        known = _keys_at(place[:-1])
        near = difflib.get_close_matches(place[-1], known, 1)
        remedy = f"Did you mean {near[0]!r}?" if near else f"Known keys: {', '.join(sorted(known))}."
        return RecipeError("this key is unknown", field=field, value=place[-1], remedy=remedy + more)
    if first["type"] == "missing":
        return RecipeError("this key is missing", field=field, remedy=f"Add `{place[-1]}:`.{more}")
    message = first["msg"].removeprefix("Value error, ")
    value = first["input"] if not isinstance(first["input"], dict | list | tuple) else None
    return RecipeError(message[0].lower() + message[1:], field=field, value=value, remedy=_remedy(place) + more)


def _place(loc: Sequence[int | str], data: Any, *, complete: bool) -> list[str]:  # noqa: ANN401
    """The keys in an error's location, without pydantic's own words for the alternatives that it tried."""
    keys = []
    for part in loc if complete else loc[:-1]:
        indexed = isinstance(data, list | tuple) and isinstance(part, int) and part < len(data)
        if indexed or (isinstance(data, dict) and part in data):
            data = data[part]
            keys.append(str(part))
    return keys if complete else [*keys, str(loc[-1])]


def _annotation_at(place: Sequence[str]) -> Any:  # noqa: ANN401
    """The type that a recipe has at a place, None where it has none."""
    found: Any = Recipe
    for key in place:
        field = _field(found, key)
        if field is not None:
            found = field.annotation
            continue
        inner = [one for one in (found, *get_args(found)) if get_origin(one) in (tuple, dict)]
        if not inner:
            return None
        # the items of tuple[X, ...], the values of dict[str, X]
        found = get_args(inner[0])[0 if get_origin(inner[0]) is tuple else 1]
    return found


def _model(annotation: Any) -> Any:  # noqa: ANN401
    candidates = (annotation, *get_args(annotation))
    return next((one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _field(annotation: Any, key: str) -> Any:  # noqa: ANN401
    model = _model(annotation) if get_origin(annotation) not in (tuple, dict) else None
    fields = {} if model is None else model.model_fields
    return next((field for name, field in fields.items() if key == (field.alias or name)), None)


def _keys_at(place: Sequence[str]) -> list[str]:
    model = _model(_annotation_at(place))
    return [] if model is None else [field.alias or name for name, field in model.model_fields.items()]


def _remedy(place: Sequence[str]) -> str:
    for cut in range(len(place), 0, -1):
        field = _field(_annotation_at(place[: cut - 1]), place[cut - 1])
        if field is not None and field.description:
            return f"It is: {field.description.removesuffix('.')}."
    return "See `gesso recipe schema`."
