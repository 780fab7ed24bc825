"""The `tune:` part of a recipe: which settings of the training are searched, and in which ranges."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Self, get_args

from pydantic import Field, TypeAdapter, ValidationError, model_validator
from pydantic.fields import FieldInfo

from pipeline.settings import Part
from pipeline.training.settings import WITHOUT_EFFECT, TrainSettings

UNSEARCHED = {
    **dict.fromkeys(WITHOUT_EFFECT, "it decides nothing of what comes out"),
    "method": "what one method reads, another may not; make a study of each",
    "text_encoder": "it decides what is cached of the training set; make a study of each",
    "seed": "the best of several seeds is luck, not a better setting",
    "zero_terminal_snr": "it changes what the held-out loss asks, so losses could not be compared",
    "epochs": "search train.steps instead",
}
"""Settings of a training that a study does not search, and why."""


class Range(Part):
    """What one setting may be: numbers from `low` to `high`, or one of `choices`."""

    low: float | None = Field(None, description="lowest value, itself included")
    high: float | None = Field(None, description="highest value, itself included; above low")
    log: bool = Field(default=False, description="draw evenly by order of magnitude; low is above 0, without step")
    step: float | None = Field(None, gt=0, description="draw multiples of this above low; above 0")
    choices: tuple[Any, ...] = Field((), description="the values to choose from, two or more, in place of low and high")

    @model_validator(mode="after")
    def _numbers_or_choices(self) -> Self:
        if self.choices:
            if self.low is not None or self.high is not None or self.log or self.step is not None:
                raise ValueError("a range has either choices, or low and high")
            if len(self.choices) < 2:
                raise ValueError("choices are two or more")
            return self
        if self.low is None or self.high is None:
            raise ValueError("a range has low and high, or choices")
        if not self.low < self.high:
            raise ValueError(f"low ({self.low:g}) is to be below high ({self.high:g})")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log needs a low above 0 and goes without a step")
        return self


class Tune(Part):
    """A search for better settings of the training: `gesso tune` reads it, and nothing else does."""

    trials: int = Field(20, ge=1, le=10_000, description="trainings to try, 1 to 10000")
    ranges: dict[str, Range] = Field(
        {}, description="what is searched, by the setting's path, such as train.learning_rate"
    )
    seed: int = Field(0, ge=0, lt=2**32, description="decides what is drawn")
    every: int = Field(
        0, ge=0, description="steps between looks at the held-out loss, by which trials are pruned; 0: a quarter"
    )
    startup: int = Field(
        5, ge=1, description="first trials, which are drawn at random and during which none is pruned; 1 or more"
    )

    @model_validator(mode="after")
    def _ranges_fit_their_settings(self) -> Self:
        for path, range_ in self.ranges.items():
            _check(path, range_)
        return self


def value(path: str, given: Any) -> Any:  # noqa: ANN401 (whatever the setting holds)
    """A value as the setting at `path` holds it; raises ValidationError where it cannot be."""
    field = TrainSettings.model_fields[name(path)]
    adapter: TypeAdapter[Any] = TypeAdapter(Annotated[field.annotation, _whole(field)])  # type: ignore[arg-type]
    return adapter.validate_python(given)


def name(path: str) -> str:
    """The setting's own name: what stands after `train.`."""
    return path.removeprefix("train.")


def is_whole(path: str) -> bool:
    """Whether the setting at `path` is a whole number."""
    held = TrainSettings.model_fields[name(path)].annotation
    return held is int or any(one is int or int in get_args(one) for one in get_args(held))


def apply(settings: TrainSettings, values: Mapping[str, Any]) -> dict[str, Any]:
    """A training's settings as plain data, with other values at some paths; not yet checked with each other."""
    return {**settings.model_dump(mode="json"), **{name(path): one for path, one in values.items()}}


def _check(path: str, range_: Range) -> None:
    if not path.startswith("train."):
        raise ValueError(
            f"{path}: a study trains on one cached training set, so it searches settings under train. alone"
        )
    if why := UNSEARCHED.get(name(path)):
        raise ValueError(f"{path} is not searched: {why}")
    if name(path) not in TrainSettings.model_fields:
        raise ValueError(f"{path}: there is no such setting; `gesso recipe schema` has all")
    numbers = [one for one in (range_.low, range_.high) if one is not None]
    if numbers and TrainSettings.model_fields[name(path)].annotation is bool:
        raise ValueError(f"{path} is no number: give choices")
    if is_whole(path) and any(not math.isclose(one, round(one)) for one in (*numbers, range_.step or 0)):
        raise ValueError(f"{path} is a whole number, and so are low, high and step")
    for one in (*numbers, *range_.choices):
        try:
            value(path, one)
        except ValidationError as error:
            said = error.errors()[0]["msg"]
            raise ValueError(f"{path}: {one!r} will not do: {said[0].lower() + said[1:]}") from error


def _whole(field: FieldInfo) -> FieldInfo:
    """The field's bounds without its default."""
    kept = FieldInfo(annotation=field.annotation)
    kept.metadata = list(field.metadata)
    return kept
