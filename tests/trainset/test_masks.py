"""Masks go where their pictures go: read back from ramps, through flips, crops, buckets and the latents' cells."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import imaging
from pipeline.settings import Buckets
from pipeline.stage import Tools, ensure
from pipeline.trainset import masks, views
from pipeline.workspace import Workspace

SIZES = Buckets(resolution=64, step=16, max_aspect=2.0)
FLIP, TURN = {"HorizontalFlip": {"p": 0.5}}, {"Rotate": {"limit": 30, "p": 1.0}}
CROP, QUARTERS = {"RandomCrop": {"height": 60, "width": 80}}, {"RandomRotate90": {"p": 1.0}}


def ramp(height, width):
    """Darker on the left, and at the top."""
    return (np.arange(width)[None, :] * 150 / width + np.arange(height)[:, None] * 100 / height).astype(np.uint8)


def cells(pixels, grid):
    height, width = grid
    return pixels.reshape(height, pixels.shape[0] // height, width, -1).mean(axis=(1, 3)) / 255


@pytest.mark.parametrize("transforms", [[], [FLIP], [CROP, FLIP], [QUARTERS, CROP], [FLIP, TURN, CROP]])
@pytest.mark.parametrize("size", [(120, 160), (97, 131), (160, 100)])
@given(view=st.integers(0, 30))
def test_a_mask_that_is_its_picture_lies_as_its_picture_does(transforms, size, view):
    grey = ramp(*size)
    seen = views.make(np.repeat(grey[..., None], 3, axis=2), "p", view, transforms, SIZES)
    grid = (seen.pixels.shape[0] // 8, seen.pixels.shape[1] // 8)
    found = masks.weights(grey, "p", view, transforms, SIZES, grid)
    # a turn blends a picture's pixels, and takes the nearest of a mask's
    assert np.abs(found - cells(seen.pixels[..., 0].astype(float), grid)).max() < (
        0.03 if TURN in transforms else 0.004
    )


def test_a_flipped_view_has_its_mask_flipped():
    left = np.zeros((64, 64), np.uint8)
    left[:, :32] = 255
    always = [{"HorizontalFlip": {"p": 1.0}}]
    assert masks.weights(left, "p", 0, always, SIZES, (8, 8))[:, :4].min() == 1
    assert masks.weights(left, "p", 1, always, SIZES, (8, 8))[:, :4].max() == 0
    assert masks.weights(left, "p", 1, always, SIZES, (8, 8))[:, 4:].min() == 1


def test_a_mask_of_another_size_is_brought_to_its_pictures():
    left = np.zeros((32, 32, 3), np.uint8)
    left[:, :16] = 255
    for size in ((64, 64), (16, 16), (32, 32)):
        found = masks.brought(left, size)
        assert found.shape == size
        assert found[:, : size[1] // 2 - 1].min() == 255
        assert found[:, size[1] // 2 + 1 :].max() == 0


def stored(tools, several):
    shared = {"view": 0, "transforms": "[]", "height": 64, "width": 64, "rows": 8, "columns": 8}
    rows = [{"pixel_id": f"p{number}", "mask": mask, **shared} for number, mask in enumerate(several)]
    made = ensure(masks, rows, masks.Params(buckets=SIZES), tools)
    return made.table().to_pylist(), tools.stats[-1].computed


def test_another_mask_computes_its_row_alone(tmp_path):
    tools = Tools(Workspace.create(tmp_path / "w"))
    grey = [tools.workspace.keep_original(imaging.encode_png(np.full((64, 64, 3), 51 * n, np.uint8))) for n in range(5)]
    _, computed = stored(tools, grey[:4])
    assert computed == 4
    found, computed = stored(tools, [grey[0], grey[4], *grey[2:4]])
    assert computed == 1
    levels = [np.frombuffer(row["masks__weights"], np.float32) for row in found]
    assert [round(float(one.mean()), 3) for one in levels] == [0, 0.8, 0.4, 0.6]
    assert all(len(one) == 64 for one in levels)


def test_no_mask_is_all_of_it_and_a_broken_one_is_told(tmp_path):
    tools = Tools(Workspace.create(tmp_path / "w"))
    broken = tools.workspace.keep_original(b"no picture")
    (none, told), _ = stored(tools, [None, broken])
    assert np.frombuffer(none["masks__weights"], np.float32).tolist() == [1.0] * 64
    assert "mask" in told["error"]
    assert told["masks__weights"] is None
