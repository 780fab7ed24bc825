"""A mask takes every way that its picture takes; a stage that leaves one out is found."""

import json

import numpy as np
import pytest

from pipeline import imaging
from pipeline.settings import Buckets
from pipeline.stage import Tools, ensure
from pipeline.trainset import masks, views
from pipeline.workspace import Workspace

SIZES = Buckets(resolution=64, step=16, max_aspect=1.0)
CROP, FLIP = {"RandomCrop": {"height": 70, "width": 90}}, {"HorizontalFlip": {"p": 1.0}}
WEIGHTS = "pipeline.trainset.masks:weights"


def found(tiny, transforms, view):
    """The cells of a picture that is its own mask, and those of its stored mask."""
    columns, rows = np.arange(160) / 160, np.arange(100) / 100
    grey = (columns[None, :] * 150 + rows[:, None] * 100).astype(np.uint8)
    pixels = np.repeat(grey[..., None], 3, axis=2)
    tools = Tools(Workspace.create(tiny.folder / "w"))
    row = {
        "pixel_id": "p",
        "view": view,
        "transforms": json.dumps(transforms),
        "mask": tools.workspace.keep_original(imaging.encode_png(pixels)),
        "height": 100,
        "width": 160,
        "rows": 8,
        "columns": 8,
    }
    (stored,) = ensure(masks, [row], masks.Params(buckets=SIZES), tools).table().to_pylist()
    seen = views.make(pixels, "p", view, transforms, SIZES).pixels[..., 0].astype(float)
    weights = np.frombuffer(stored["masks__weights"], np.float32).reshape(8, 8)
    return seen.reshape(8, 8, 8, 8).mean(axis=(1, 3)) / 255, weights


def a_mask_is_cut_as_its_picture(tiny):
    picture, mask = found(tiny, [], 0)
    assert np.abs(picture - mask).max() < 0.01


def a_mask_is_flipped_and_cropped_as_its_picture(tiny):
    for view in (1, 2, 3):
        picture, mask = found(tiny, [CROP, FLIP], view)
        assert np.abs(picture - mask).max() < 0.01


TRAPS = {
    a_mask_is_cut_as_its_picture: {
        "resized without a cut": (WEIGHTS, "buckets.fit(seen, placed)", "cv2.resize(seen, (64, 64))"),
        "one cell of each and not their mean": (
            WEIGHTS,
            "interpolation=cv2.INTER_AREA",
            "interpolation=cv2.INTER_NEAREST",
        ),
        "rows and columns exchanged": (WEIGHTS, "buckets.fit(seen, placed)", "buckets.fit(seen, placed).T"),
    },
    a_mask_is_flipped_and_cropped_as_its_picture: {
        "as the picture lay": (WEIGHTS, "view=view)", "view=0)"),
        "by another view's draws": (WEIGHTS, "view=view)", "view=view + 1)"),
        "by another picture's draws": (WEIGHTS, "pixel_id=pixel_id", "pixel_id='another'"),
        "without flip": (WEIGHTS, "follow_mask(mask, transforms,", "follow_mask(mask, transforms[:1],"),
    },
}


def test_it_holds(check, tiny):
    check(tiny)


def test_a_planted_bug_is_found(check, bug, tiny, plant):
    with plant(*bug), pytest.raises(AssertionError):
        check(tiny)
