"""What is to be known before a training, as lines with advice where something is amiss: pure functions of facts.

`steps/preflight.py` gathers the facts.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipeline.errors import RecipeError
from pipeline.families import Family
from pipeline.memory import Room
from pipeline.settings import Buckets
from pipeline.training.footprint import TOKENS, Footprint
from pipeline.training.settings import TrainSettings
from pipeline.trainset.buckets import place, sizes

LIBRARIES = {"cpu": 1200 * 2**20, "cuda": 600 * 2**20}
"""Bytes beside the training's own: torch, diffusers and what a process has read on a CPU; CUDA's context on a GPU."""
CROPPED = 0.1
"""Share of a picture from which on it is told that it goes."""
SHARE_OF_SPEED = 0.5
"""What a UNet reaches of the speed of large products of matrices; measured 0.3 to 0.7 on a CPU."""
LONG = 6 * 3600
"""Seconds of a training on a CPU from which on a GPU is worth a word."""
SELDOM, OFTEN = 1.0, 500.0
"""Times that a picture is seen: less than once is never for some; diffusers' guides see each 80 to 200 times."""
UNEQUAL = 4.0
"""A concept whose share of the steps is so many times another's is worth a word."""
MOST_NAMED = 5
"""Pictures that a line names."""
IMPOSSIBLE = "no memory"
"""What a line is about that no training can come of."""


@dataclass(frozen=True)
class Line:
    """One thing to know: what it is about, what is the case, and what to do about it, or nothing."""

    about: str
    said: str
    advice: str = ""

    @property
    def words(self) -> str:
        """It in one line."""
        return f"{self.about}: {self.said}" + (f". {self.advice}" if self.advice else "")


@dataclass(frozen=True)
class Concept:
    """Pictures of one source and class: how many, and how often all of them are looked at in an epoch."""

    name: str
    pictures: int
    rows: int


def fits(found: Footprint, settings: TrainSettings, room: Room | None, *, gpu: bool, prior: bool) -> Line:
    """Peak memory against what there is."""
    at_once = settings.batch_size * (2 if prior else 1)
    own = LIBRARIES["cuda" if gpu else "cpu"]
    peak = found.peak(at_once) + own
    where = "the GPU" if gpu else "the machine"
    said = f"about {_gib(peak)} at the peak"
    if room is None:
        return Line("memory", f"{said}; how much there is cannot be told")
    least = found.weights + found.states + own
    if found.weights + found.states > room.total:
        return Line(
            IMPOSSIBLE,
            f"the model and what is kept of each trained number take {_gib(found.weights + found.states)}, and {where} "
            f"has {_gib(room.total)}",
            "Take method lora, or optimizer adafactor or adamw8bit; or a machine with more memory.",
        )
    said += f", {_gib(room.free)} of {_gib(room.total)} free"
    if peak <= room.free:
        return Line("memory", said)
    remedies = [
        *([] if settings.gradient_checkpointing else ["train.gradient_checkpointing=true"]),
        *([] if settings.mixed_precision != "no" or not gpu else ["train.mixed_precision=bf16"]),
        *([] if settings.batch_size == 1 else ["a smaller train.batch_size with more gradient_accumulation"]),
    ]
    if least + found.example > room.free:
        remedies.append("train.optimizer=adafactor")
    halved = "Batches are taken in halves where that runs out; better set " if settings.batch_size > 1 else "Set "
    return Line("memory", said, f"{halved}{' or '.join(remedies) or 'a smaller buckets.resolution'}.")


def takes(found: Footprint, settings: TrainSettings, speed: float | None, *, prior: bool) -> Iterator[Line]:
    """How long the steps will take at a `speed` in operations a second, where their number is known."""
    examples = settings.batch_size * settings.gradient_accumulation * (2 if prior else 1)
    total = found.flops * examples * settings.steps
    if not settings.steps:
        return
    if speed is None:
        yield Line("time", f"{total / 1e15:.3g} PFLOP in {settings.steps} steps; the bar says what that takes here")
        return
    seconds = total / (speed * SHARE_OF_SPEED)
    advice = "A GPU does it in a small part of that." if seconds > LONG else ""
    yield Line("time", f"about {_duration(seconds)} for {settings.steps} steps, evaluation apart", advice)


def precision(settings: TrainSettings, *, gpu: bool) -> Iterator[Line]:
    """That a GPU is to compute in float32, where it is."""
    if gpu and settings.mixed_precision == "no":
        yield Line(
            "precision",
            "all is computed in float32",
            "train.mixed_precision=bf16 (on a GPU before Ampere: fp16) uses its faster units, and less of its memory.",
        )


def concepts(found: Sequence[Concept], settings: TrainSettings) -> Iterator[Line]:
    """How often the pictures of each source and class are looked at."""
    rows = sum(one.rows for one in found)
    looks = settings.steps * settings.batch_size * settings.gradient_accumulation
    most = max((one.rows for one in found), default=0)
    for one in found:
        share = one.rows / rows
        times = looks * share / one.pictures
        steps = min(settings.steps, looks * share)
        said = f"{one.name}: {_count(one.pictures, 'picture')}, {steps:.0f} steps' worth, each seen {_times(times)}"
        advice = ""
        if times < SELDOM:
            advice = "Some are never seen: more train.steps, or train.epochs."
        elif times > OFTEN and settings.method in ("lora", "dreambooth"):
            advice = "That often they are copied rather than learned from: fewer train.steps, or more pictures."
        elif most > UNEQUAL * one.rows:
            advice = (
                f"Others fill more of the steps: sources' repeats, such as {math.ceil(most / one.rows)}, even it out."
            )
        yield Line("concept", said, advice)


def rates(settings: TrainSettings) -> Iterator[Line]:
    """The learning rate as it works: a LoRA's update is scaled by alpha / rank, and a warm-up may not end."""
    rate = settings.learning_rate
    if settings.method == "lora" or (settings.method == "dreambooth" and settings.adapts == "lora"):
        alpha = settings.rank if settings.alpha is None else settings.alpha
        scale = alpha / settings.rank
        said = f"{rate:g}, times alpha / rank = {alpha:g} / {settings.rank}, works as {rate * scale:.3g}"
        advice = ""
        if settings.optimizer != "prodigy" and scale < 0.25:
            advice = (
                "That is little: OneTrainer begins with alpha 1 and a rate of 3e-4, diffusers with alpha = rank and "
                f"1e-4. Set train.alpha={settings.rank}, or train.learning_rate={rate / scale:.3g}."
            )
        elif settings.optimizer != "prodigy" and rate * scale > 5e-3:
            advice = "That is much: 1e-4 with alpha = rank is usual."
        yield Line("learning rate", said, advice)
    if settings.steps and settings.warmup_steps >= settings.steps:
        said = f"the warm-up of {settings.warmup_steps} steps does not end within {settings.steps}"
        yield Line("learning rate", said, f"It never gets to {rate:g}: lower train.warmup_steps.")


def crops(sides: Sequence[tuple[str, tuple[int, int]]], buckets: Buckets) -> Line:
    """Which pictures, each a name with its width and height, lose more than a tenth to their bucket."""
    lost = [(name, place(*pair, buckets).lost) for name, pair in sides]
    worst = _most((name, share) for name, share in lost if share > CROPPED)
    if not worst:
        return Line("cropping", f"no picture of {len(sides)} loses more than a tenth")
    named = ", ".join(f"{name} {share:.0%}" for name, share in worst[:MOST_NAMED])
    more = f" and {len(worst) - MOST_NAMED} more" if len(worst) > MOST_NAMED else ""
    return Line(
        "cropping",
        f"{_count(len(worst), 'picture')} of {len(sides)} will lose more than a tenth: {named}{more}",
        f"Cut them yourself, or raise buckets.max_aspect ({buckets.max_aspect:g}) or lower buckets.step "
        f"({buckets.step}).",
    )


def cut_captions(used: Sequence[tuple[str, int]]) -> Iterator[Line]:
    """Which captions, each a picture's name with its count of tokens, are longer than text encoders read."""
    if not used:
        return
    longer = _most((name, count) for name, count in used if count > TOKENS)
    if not longer:
        yield Line("captions", f"none is cut; the longest has {max(count for _, count in used)} of {TOKENS} tokens")
        return
    named = ", ".join(f"{name} {count}" for name, count in longer[:MOST_NAMED])
    more = f" and {len(longer) - MOST_NAMED} more" if len(longer) > MOST_NAMED else ""
    said = f"{len(longer)} of {len(used)} are cut at {TOKENS} tokens: {named}{more}"
    yield Line("captions", said, "What comes after is not learned: shorten them (`gesso review`), the subject first.")


def advised(family: Family, settings: TrainSettings) -> Iterator[Line]:
    """What the family's guides set otherwise."""
    method = settings.method
    if method == "dreambooth":
        method = "dreambooth, full" if settings.adapts == "full" else "lora"
    wanted = dict(family.advised.get(method, {}))
    if not settings.text_encoder:
        wanted.pop("text_encoder_lr", None)
    other = {name: value for name, value in wanted.items() if getattr(settings, name) != value}
    if other and settings.optimizer != "prodigy":
        guides = ", ".join(f"{name} {value:g}" for name, value in other.items())
        here = ", ".join(f"{name} {_plain(getattr(settings, name))}" for name in other)
        yield Line("family", f"guides for {family.title} take {guides}; the recipe has {here}")


def trained_at(native: int, buckets: Buckets) -> Iterator[Line]:
    """Whether pictures come at the size that the base model was trained at, `native` px."""
    own = square(buckets)
    if not 0.75 <= own / native <= 1.5:
        said = f"pictures come at {own} px, and the base model was trained at {native}"
        yield Line("resolution", said, f"Set buckets.resolution={native}, unless that is meant.")


def square(buckets: Buckets) -> int:
    """Side of the square bucket, px."""
    return max(width for width, height in sizes(buckets) if width == height)


def check(found: Iterable[Line]) -> None:
    """Refuse what cannot work at all.

    Raises:
        RecipeError: the model and the optimizer's state alone are more than the machine's memory.
    """
    for line in found:
        if line.about == IMPOSSIBLE:
            raise RecipeError(line.said, field="train.method", remedy=line.advice)


def _most(found: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    """The largest first, equal ones by name; two pictures may have one name."""
    return sorted(found, key=lambda one: (-one[1], one[0]))


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _times(count: float) -> str:
    return f"{count:.0f} times" if count >= 10 else f"{count:.2g} times"


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
