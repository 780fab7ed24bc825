import collections
import hashlib
import inspect
import json
import random
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from pipeline import augment
from pipeline.errors import RecipeError
from pipeline.starter.pictures import picture

SCENE = picture(5, side=96).pixels[:80]
SCENE.flags.writeable = False
RECIPE = (
    {"RandomResizedCrop": {"size": [64, 48], "scale": [0.5, 1.0]}},
    {"HorizontalFlip": {"p": 0.5}},
    {"ColorJitter": {"brightness": 0.2, "hue": 0.1, "p": 0.8}},
    {"GaussNoise": None},
)


def view(transforms, number, *, pixel_id="a", pixels=SCENE):
    moved = augment.apply_spatial(pixels, transforms, pixel_id=pixel_id, view=number)
    return augment.apply_photometric(moved, transforms, pixel_id=pixel_id, view=number)


def message(transforms):
    with pytest.raises(RecipeError) as caught:
        augment.check(transforms)
    return str(caught.value)


def test_view_0_is_the_picture_itself():
    assert np.array_equal(view(RECIPE, 0), SCENE)


def test_a_view_depends_on_picture_number_and_transforms_alone():
    first = [view(RECIPE, number).tobytes() for number in range(1, 9)]
    again = [view(RECIPE, number).tobytes() for number in range(8, 0, -1)][::-1]
    assert first == again
    assert len(set(first)) == 8
    assert view(RECIPE, 1, pixel_id="b").tobytes() not in first
    assert view(RECIPE[1:], 1).tobytes() not in first


def test_lists_read_back_from_json_draw_the_same():
    back = json.loads(json.dumps(RECIPE))
    assert np.array_equal(view(back, 3), view(RECIPE, 3))


def fingerprint():
    return hashlib.sha256(b"".join(view(RECIPE, number).tobytes() for number in (1, 2, 3))).hexdigest()


def test_another_process_draws_the_same_and_asks_no_server_for_updates():
    code = (
        "import os, sys; from tests import test_augment; assert 'albumentations' not in sys.modules\n"
        "print(test_augment.fingerprint(), os.environ['NO_ALBUMENTATIONS_UPDATE'])"
    )
    run = [sys.executable, "-W", "error", "-c", code]
    there = subprocess.run(run, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert (there.stdout, there.stderr) == (f"{fingerprint()} 1\n", "")


def test_the_global_random_state_is_neither_read_nor_changed():
    np.random.seed(0)  # noqa: NPY002 - the state under test
    random.seed(0)
    first = view(RECIPE, 1)
    states = np.random.get_state()[1].tobytes(), random.getstate()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)
    assert states == (np.random.get_state()[1].tobytes(), random.getstate())  # noqa: NPY002
    random.seed(99)
    np.random.seed(99)  # noqa: NPY002
    assert np.array_equal(view(RECIPE, 1), first)


def test_two_transforms_of_one_view_are_drawn_independently():
    half = np.zeros((8, 8, 3), np.uint8)
    half[:, :4] = 200
    both = ({"HorizontalFlip": {"p": 0.5}}, {"InvertImg": {"p": 0.5}})
    corners = collections.Counter(int(view(both, number, pixels=half)[0, 0, 0]) for number in range(1, 201))
    # untouched, inverted, flipped, both: 50 each expected, 30 is below 3 sigma
    assert set(corners) == {200, 55, 0, 255}
    assert min(corners.values()) > 30


def test_spatial_transforms_come_first_and_photometric_ones_change_no_size():
    moved = augment.apply_spatial(SCENE, RECIPE, pixel_id="a", view=1)
    assert moved.shape == (64, 48, 3)
    assert {tuple(one) for one in moved.reshape(-1, 3)} != {tuple(one) for one in SCENE.reshape(-1, 3)}
    assert augment.apply_photometric(SCENE, RECIPE, pixel_id="a", view=1).shape == SCENE.shape
    flipped = augment.apply_spatial(SCENE, [{"HorizontalFlip": {"p": 1}}], pixel_id="a", view=1)
    assert np.array_equal(flipped, SCENE[:, ::-1])
    assert np.array_equal(augment.apply_photometric(SCENE, [{"HorizontalFlip": {"p": 1}}], pixel_id="a", view=1), SCENE)


@pytest.mark.parametrize(
    ("transforms", "expected"),
    [
        (
            [{"HorizontalFlp": {}}],
            "augment.transforms.0: there is no such transform (got 'HorizontalFlp'). Did you mean",
        ),
        ([{"VerticalFlip": None}, {"ColorJitter": {"brightnes": 1}}], "augment.transforms.1.ColorJitter: there is no"),
        ([{"ColorJitter": {"brightness": -3}}], "brightness: Value error"),
        ([{"RandomCrop": {}}], "height: Field required"),
        ([{"HorizontalFlip": {"p": 2}}], "augment.transforms.0.HorizontalFlip: p:"),
        ([{"Normalize": None}], "does not give 8-bit pixels"),
        ([{"FDA": None}], "needs more than the picture"),
        ([{"CenterCrop3D": {"size": [1, 1, 1]}}], "there is no such transform"),
        ([{"HorizontalFlip": None, "VerticalFlip": None}], "one item names one transform"),
    ],
)
def test_a_wrong_recipe_is_told_where_and_what(transforms, expected):
    assert expected in message(transforms)


def test_a_crop_larger_than_the_picture_names_the_transform():
    transforms = [{"HorizontalFlip": None}, {"RandomCrop": {"height": 200, "width": 200}}]
    with pytest.raises(RecipeError, match=r"augment\.transforms\.1: Crop size"):
        augment.apply_spatial(SCENE, transforms, pixel_id="a", view=1)


def test_transforms_that_do_not_give_rgb_are_told():
    with pytest.raises(RecipeError, match="8-bit RGB"):
        augment.apply_photometric(SCENE, [{"ToGray": {"num_output_channels": 1, "p": 1}}], pixel_id="a", view=1)


@pytest.mark.parametrize(
    ("transform", "caption", "kept"),
    [
        ({"HorizontalFlip": None}, "a dog on the left", False),
        ({"HorizontalFlip": None}, "a clock turning Clockwise", False),
        ({"HorizontalFlip": None}, "a poster with text", False),
        ({"HorizontalFlip": None}, "a bright dog leftover", True),
        ({"D4": None}, "the right one", False),
        ({"Rotate": None}, "the right one", False),
        ({"Rotate": {"limit": 10}}, "the right one", True),
        ({"Affine": {"rotate": [-90, 90]}}, "the right one", False),
        ({"GaussNoise": None}, "a red dog on the left", True),
        ({"ColorJitter": None}, "a red dog", False),
        ({"ColorJitter": {"hue": 0}}, "a red dog", True),
        ({"ColorJitter": {"hue": [0, 0]}}, "a red dog", True),
        ({"HueSaturationValue": {"hue_shift_limit": 0}}, "a red dog", True),
        ({"HueSaturationValue": None}, "a Reddish dog", False),
        ({"ChannelShuffle": None}, "blue", False),
        ({"ChannelShuffle": None}, "a covered bluebell", True),
        ({"ToGray": None}, "a dog", True),
    ],
)
def test_what_would_make_the_caption_false_is_refused(transform, caption, kept):
    allowed, refused = augment.effective([transform], caption, insist=False)
    assert bool(allowed) is kept
    assert bool(refused) is not kept
    assert augment.effective([transform], caption, insist=True) == ((transform,), ())


def test_a_refusal_says_why_and_leaves_the_rest_in_order():
    transforms = ({"HorizontalFlip": {"p": 0.5}}, {"GaussNoise": None}, {"ChannelShuffle": None}, {"Blur": None})
    allowed, refused = augment.effective(transforms, "a green cup on the Right", insist=False)
    assert allowed == ({"GaussNoise": None}, {"Blur": None})
    assert refused == ("HorizontalFlip: the caption says 'Right'", "ChannelShuffle: the caption says 'green'")


ARGUMENTS = {
    "CenterCrop": {"height": 32, "width": 32},
    "RandomCrop": {"height": 32, "width": 32},
    "Crop": {"x_max": 40, "y_max": 40},
    "CropAndPad": {"px": 4},
    "RandomResizedCrop": {"size": [32, 32]},
    "RandomSizedCrop": {"min_max_height": [20, 40], "size": [32, 32]},
    "Resize": {"height": 32, "width": 48},
    "LongestMaxSize": {"max_size": 48},
    "SmallestMaxSize": {"max_size": 48},
    "PadIfNeeded": {"min_height": 100, "min_width": 100},
    "GridElasticDeform": {"num_grid_xy": [4, 4], "magnitude": 4},
}


def every_transform():
    import albumentations

    for name in augment._transforms():
        if name in augment._UNFIT:
            continue
        transform = {name: ARGUMENTS.get(name)}
        try:
            augment.check([transform])
        except RecipeError as error:
            assert "needs more than the picture" in str(error)  # noqa: PT017 - the only excuse
            continue
        yes = "p" in inspect.signature(getattr(albumentations, name).__init__).parameters
        yield {name: {**(ARGUMENTS.get(name) or {}), **({"p": 1} if yes else {})}}


def test_every_transform_of_albumentations_that_check_lets_pass_can_be_drawn_twice_alike():
    transforms = list(every_transform())
    assert len(transforms) > 80
    for transform in transforms:
        one, two = view([transform], 1), view([transform], 1)
        assert one.dtype == np.uint8
        assert np.array_equal(one, two), transform


def test_no_warning_escapes():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        view(RECIPE, 1)
