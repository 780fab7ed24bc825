import numpy as np
import pytest
from albumentations import DualTransform
from hypothesis import given
from hypothesis import strategies as st

from pipeline import augment
from pipeline.settings import Buckets
from pipeline.stage import Tools, ensure
from pipeline.trainset import crops, views
from pipeline.workspace import Workspace

SQUARE = Buckets(resolution=64, step=32, max_aspect=1.0)
CROP = {"RandomCrop": {"height": 60, "width": 80}}
FLIP, TRANSPOSED = {"HorizontalFlip": {"p": 1.0}}, {"Transpose": {"p": 1.0}}
TALL = {"pixel_id": "p", "view": 0, "transforms": "[]", "height": 200, "width": 100}
WANTED = [200, 100, 32, 0, 64, 64]
"""A picture of 100 x 200: the middle 100 x 100 of it, so 50 rows below the top, become 64 x 64."""


def rows(tmp_path):
    found = ensure(crops, [TALL], crops.Params(buckets=SQUARE), Tools(Workspace.create(tmp_path / "w")))
    (row,) = found.table().select([f"crops__{name}" for name in crops.NAMES]).to_pylist()
    return list(row.values())


def test_a_planted_cut_is_told_in_sdxls_order(tmp_path):
    assert rows(tmp_path) == WANTED


def test_exchanged_columns_are_found(tmp_path, monkeypatch):
    one = crops.NAMES
    with monkeypatch.context() as planted:
        planted.setattr(crops, "NAMES", (one[2], one[3], one[0], one[1], *one[4:]))
        rows(tmp_path)
    assert rows(tmp_path) == [32, 0, 200, 100, 64, 64]


def test_a_picture_that_is_its_bucket_was_not_cut():
    assert crops.told((64, 64), "p", 0, [], SQUARE) == (64, 64, 0, 0, 64, 64)
    assert crops.told((640, 640), "p", 0, [], SQUARE) == (640, 640, 0, 0, 64, 64)


@pytest.mark.parametrize(
    "transforms", [[CROP], [FLIP, CROP], [CROP, FLIP], [TRANSPOSED, CROP], [{"RandomResizedCrop": {"size": [48, 48]}}]]
)
@given(view=st.integers(1, 50))
def test_the_cut_is_read_back_from_pixels_that_show_their_places(transforms, view):
    """Red is the column and green the row that a pixel has in the picture as the view flips or turns it."""
    size = (160, 120) if TRANSPOSED in transforms else (120, 160)
    turned = np.zeros((*size, 3), np.uint8)
    turned[..., 0], turned[..., 1] = np.arange(size[1]), np.arange(size[0])[:, None]
    ramp = turned[:, ::-1] if FLIP in transforms else turned
    ramp = turned.transpose(1, 0, 2) if TRANSPOSED in transforms else ramp
    told = crops.told(ramp.shape[:2], "p", view, transforms, SQUARE)
    seen = views.make(np.ascontiguousarray(ramp), "p", view, transforms, SQUARE)
    assert seen.pixels.shape[:2] == told[4:]
    assert told[:2] == size
    first, last = seen.pixels[0, 0].astype(float), seen.pixels[-1, -1].astype(float)
    for channel, cut, side in ((0, told[3], 1), (1, told[2], 0)):
        each = (last[channel] - first[channel]) / (told[4 + side] - 1)
        assert first[channel] < last[channel]
        assert abs(cut * each - first[channel]) <= 1.5 + each


@pytest.mark.parametrize(
    "name",
    [one for one in augment._transforms() if issubclass(getattr(augment._albumentations(), one), DualTransform)],
)
def test_every_transform_that_moves_pixels_can_be_followed(name):
    arguments = {
        "Crop": {"x_max": 20, "y_max": 20},
        "CenterCrop": {"height": 20, "width": 20},
        "RandomCrop": {"height": 20, "width": 20},
        "RandomSizedCrop": {"min_max_height": [10, 20], "size": [20, 20]},
        "RandomResizedCrop": {"size": [20, 20]},
        "RandomCropNearBBox": {},
        "Resize": {"height": 20, "width": 20},
        "AtLeastOneBBoxRandomCrop": {},
        "CropAndPad": {"px": -5},
        "PadIfNeeded": {"min_height": 90, "min_width": 90},
    }
    try:
        augment.check([{name: arguments.get(name, {})}])
    except augment.RecipeError:
        pytest.skip("no recipe can name it so")
    told = crops.told((60, 80), "p", 1, [{name: {**arguments.get(name, {})}}], SQUARE)
    assert min(told[:2]) == 60
    assert all(number >= 0 for number in told)


def test_a_picture_without_a_size_is_an_error_of_its_own(tmp_path):
    lost = {**TALL, "height": None, "width": None}
    made = ensure(crops, [lost, TALL], crops.Params(buckets=SQUARE), Tools(Workspace.create(tmp_path / "w")))
    assert [bool(row["error"]) for row in made.table().to_pylist()] == [True, False]
