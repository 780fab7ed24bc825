"""Views of a picture by albumentations, drawn so that anyone draws the same again.

A recipe names transforms by class: `[{HorizontalFlip: {p: 0.5}}, {ColorJitter: {hue: 0, brightness: 0.1}}]`. Those that
move pixels (albumentations' DualTransform) see the whole picture, before bucketing and resizing; those that change
values (ImageOnlyTransform) come after. View 0 is the picture itself.

Each transform of a view draws from SHA-256(pixel_id, view, transforms, its position), so a view depends on no order,
batch, worker or global random state. Not from one seeded `Compose`: that gives all its transforms the same numbers, so
that a flip and a jitter of the same probability always come together.
"""

import difflib
import hashlib
import inspect
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from pipeline.errors import RecipeError

Pixels = NDArray[np.uint8]
Transform = Mapping[str, Mapping[str, Any] | None]
"""One class name with its arguments."""

_FIELD = "augment.transforms"
_UNFIT = {
    **dict.fromkeys(("Normalize", "ToFloat", "FromFloat"), "does not give 8-bit pixels"),
    **dict.fromkeys(("CropNonEmptyMaskIfExists", "MaskDropout", "ConstrainedCoarseDropout"), "needs a mask or boxes"),
    **dict.fromkeys(("BBoxSafeRandomCrop", "AtLeastOneBBoxRandomCrop", "RandomSizedBBoxSafeCrop"), "needs boxes"),
    **dict.fromkeys(("Lambda", "TextImage"), "needs more than a recipe can say"),
    # albumentations warns of these each time one is made
    **dict.fromkeys(("FrequencyMasking", "TimeMasking"), "is made for sound; XYMasking does the same"),
    "TimeReverse": "is made for sound; HorizontalFlip does the same",
    "ToRGB": "is for grey pictures; ours are RGB",
    "ShiftScaleRotate": "is an old form of Affine",
    "PiecewiseAffine": "is too slow; ElasticTransform does much the same",
}
_MIRRORS = {
    *("HorizontalFlip", "VerticalFlip", "Transpose", "D4", "SquareSymmetry", "RandomRotate90", "RandomGridShuffle"),
}
_TURNS = {"Rotate": "limit", "SafeRotate": "limit", "Affine": "rotate"}
"""Transforms that turn by an angle, with the attribute that holds its range in degrees."""
_RECOLOURS = {
    *(
        "ChannelDropout",
        "ChannelShuffle",
        "Equalize",
        "FancyPCA",
        "HEStain",
        "InvertImg",
        "PlanckianJitter",
        "RGBShift",
    ),
    *("Solarize", "ToGray", "ToSepia"),
}
_HUES = {"ColorJitter": "hue", "HueSaturationValue": "hue_shift_limit"}
"""Transforms that recolour only if this range is not zero, which by default it is not."""
_SIDES = re.compile(
    r"\b(left|right|leftmost|rightmost|leftwards?|rightwards?|clockwise|counter-?clockwise|anti-?clockwise"
    r"|text|texts|lettering|letters|writing|written|logo|logos|signature|mirrored|upside[- ]down)\b",
    re.IGNORECASE,
)
_COLOURS = re.compile(
    r"\b((?:red|orange|yellow|green|cyan|blue|purple|pink|brown|grey|gray|black|white)(?:dish|nish|wish|ish|s)?"
    r"|reddish|bluish|purplish|turquoise|teal|magenta|violet|indigo|lilac|lavender|crimson|scarlet|maroon|burgundy"
    r"|beige|tan|cream|ivory|gold|golden|silver|silvery|bronze|copper|navy|khaki|olive|lime|mint|amber|ochre|mauve"
    r"|fuchsia|salmon|peach|blond|blonde|ginger|rainbow|monochrome|sepia|colou?rful|multi-?colou?red)\b",
    re.IGNORECASE,
)


def check(transforms: Sequence[Transform]) -> None:
    """Make every transform once.

    Raises:
        RecipeError: a name or an argument is unknown, a value is out of range, or the transform needs more than a
            picture. The field is the path in the recipe, such as `augment.transforms.1`.
    """
    for position, transform in enumerate(transforms):
        _make(transform, position)


def effective(
    transforms: Sequence[Transform], caption: str, *, insist: bool
) -> tuple[tuple[Transform, ...], tuple[str, ...]]:
    """The transforms that leave the caption true, and for each other one a sentence why it is refused.

    What mirrors or turns is refused where the caption says left or right or speaks of text; what shifts hues, where it
    names a colour. With `insist` nothing is refused.
    """
    allowed, refused = [], []
    for transform in transforms:
        (name,) = transform
        mirrors, recolours = _effects(json.dumps(transform, sort_keys=True))
        against = (mirrors and _SIDES.search(caption)) or (recolours and _COLOURS.search(caption))
        if against and not insist:
            refused.append(f"{name}: the caption says {against[0]!r}")
        else:
            allowed.append(transform)
    return tuple(allowed), tuple(refused)


def apply_spatial(pixels: Pixels, transforms: Sequence[Transform], *, pixel_id: str, view: int) -> Pixels:
    """The picture after the transforms of a view that move pixels; height and width may change.

    Raises:
        RecipeError: a transform cannot be applied to a picture of this size.
    """
    return _apply(pixels, transforms, "DualTransform", pixel_id, view)


def apply_photometric(pixels: Pixels, transforms: Sequence[Transform], *, pixel_id: str, view: int) -> Pixels:
    """The picture after the transforms of a view that change values; it keeps its height and width.

    Raises:
        RecipeError: a transform cannot be applied to this picture.
    """
    return _apply(pixels, transforms, "ImageOnlyTransform", pixel_id, view)


def follow(
    points: NDArray[np.float32], size: tuple[int, int], transforms: Sequence[Transform], *, pixel_id: str, view: int
) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """Where `points` (N x 2, x and y in pixels) of a picture of a size (height, width) come to lie in a view of it.

    They may lie outside. The view's size comes with them. A transform that bends moves points only nearly as pixels.
    """
    pixels = np.zeros((*size, 3), np.uint8)
    # albumentations' own form: x, y, z, angle, scale
    moved = np.pad(points.astype(np.float32), ((0, 0), (0, 3)))
    if view:
        for _, _, made in _drawn(transforms, "DualTransform", pixel_id, view):
            found = made(image=pixels, keypoints=moved)
            pixels, moved = found["image"], np.asarray(found["keypoints"], np.float32)
    return moved[:, :2], (pixels.shape[0], pixels.shape[1])


def follow_mask(
    mask: NDArray[np.uint8], transforms: Sequence[Transform], *, pixel_id: str, view: int
) -> NDArray[np.uint8]:
    """A mask (H x W, of its picture's size) as it lies in a view of the picture; what comes in from outside is 0."""
    if view:
        for _, _, made in _drawn(transforms, "DualTransform", pixel_id, view):
            mask = made(image=np.zeros((*mask.shape, 3), np.uint8), mask=np.array(mask))["mask"]
    return np.ascontiguousarray(mask)


def _drawn(
    transforms: Sequence[Transform], kind: str, pixel_id: str, view: int
) -> Iterator[tuple[int, Transform, Any]]:
    """Position, recipe and object of the transforms of a kind, each about to draw what belongs to this view."""
    base = getattr(_albumentations(), kind)
    for position, transform in enumerate(transforms):
        made = _make(transform, position)
        if isinstance(made, base):
            text = json.dumps([pixel_id, view, list(transforms), position], sort_keys=True)
            made.set_random_seed(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))
            yield position, transform, made


def _apply(pixels: Pixels, transforms: Sequence[Transform], kind: str, pixel_id: str, view: int) -> Pixels:
    if view == 0:
        return pixels
    for position, transform, made in _drawn(transforms, kind, pixel_id, view):
        try:
            pixels = made(image=np.array(pixels))["image"]
            fits = pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size > 0
        except Exception as error:  # whatever a transform raises is about its arguments and this picture
            raise _wrong(position, transform, str(error), "Select larger pictures or change the arguments.") from error
        if not fits:
            raise _wrong(position, transform, "it does not give 8-bit RGB", "Leave it out.")
    return np.ascontiguousarray(pixels)


def _make(transform: Transform, position: int) -> Any:  # noqa: ANN401 - albumentations has no types
    library = _albumentations()
    if len(transform) != 1:
        raise _wrong(position, transform, "one item names one transform", "Write a list of {Name: {arguments}}.")
    ((name, arguments),) = transform.items()
    known = _transforms()
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        remedy = f"Did you mean {near[0]!r}?" if near else "The names are albumentations' classes."
        raise _wrong(position, name, "there is no such transform", remedy)
    if name in _UNFIT:
        raise _wrong(position, name, f"this transform {_UNFIT[name]}", "Leave it out.")
    kind = getattr(library, name)
    parameters = list(inspect.signature(kind.__init__).parameters)[1:]
    # without it a wrong value may be replaced by the default, with a warning; only classes with a schema know the word
    strict = {"strict": True} if "InitSchema" in vars(kind) else {}
    for argument in arguments or {}:
        if argument not in parameters:
            near = difflib.get_close_matches(argument, parameters, 1)
            remedy = f"Did you mean {near[0]!r}?" if near else f"Its arguments: {', '.join(parameters)}."
            raise _wrong(f"{position}.{name}", argument, "there is no such argument", remedy)
    try:
        made = kind(**{**strict, **(arguments or {})})
    except (ValueError, TypeError) as error:
        problem = _in_words(error.__cause__) if isinstance(error.__cause__, ValidationError) else str(error)
        raise _wrong(f"{position}.{name}", arguments, problem, "See the reference of albumentations 2.0.") from error
    if made.targets_as_params:
        raise _wrong(position, name, "this transform needs more than the picture", "Leave it out.")
    return made


def _in_words(error: ValidationError) -> str:
    parts = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
    return "; ".join(part.removeprefix(": ").removesuffix(".") for part in parts)


def _wrong(place: int | str, value: object, problem: str, remedy: str) -> RecipeError:
    return RecipeError(problem, field=f"{_FIELD}.{place}", value=value, remedy=remedy)


@lru_cache(maxsize=256)
def _effects(transform: str) -> tuple[bool, bool]:
    """Whether a transform (as JSON) mirrors or turns far, and whether it shifts hues."""
    ((name, arguments),) = json.loads(transform).items()
    made = _make({name: arguments}, 0) if name in _TURNS or name in _HUES else None
    # a horizon may tilt by less than 45 degrees before left and right are lost
    turns = name in _TURNS and _reach(getattr(made, _TURNS[name])) >= 45
    recolours = name in _HUES and _reach(getattr(made, _HUES[name])) > 0
    return name in _MIRRORS or turns, name in _RECOLOURS or recolours


def _reach(limits: float | Sequence[float]) -> float:
    return float(np.abs(limits).max())


@lru_cache(maxsize=1)
def _transforms() -> tuple[str, ...]:
    """Names of albumentations' transforms of flat pictures."""
    library = _albumentations()
    bases = library.DualTransform, library.ImageOnlyTransform
    return tuple(
        name
        for name, value in vars(library).items()
        if inspect.isclass(value)
        and issubclass(value, bases)
        and not issubclass(value, library.Transform3D)
        and value not in bases
    )


def _albumentations() -> ModuleType:
    # on import it asks a server for a newer release, which no run of ours may wait for
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations

    return albumentations  # type: ignore[no-any-return]
