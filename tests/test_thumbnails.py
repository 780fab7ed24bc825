import io

import cv2
import numpy as np
import pytest
from PIL import Image

from pipeline import imaging, thumbnails
from pipeline.stage import Tools
from pipeline.workspace import Workspace


def saved(workspace, width, height, seed=0):
    """A picture whose left half is red and whose right half is blue, with some noise."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0], pixels[:, width // 2 :, 2] = 220, 220
    pixels += np.random.default_rng(seed).integers(0, 20, pixels.shape, dtype=np.uint8)
    return workspace.keep_original(imaging.encode_png(pixels))


@pytest.fixture
def tools(tmp_path):
    return Tools(Workspace.create(tmp_path / "work"), workers=2)


def made(tools, *samples, **params):
    rows = [{"sample_id": one} for one in samples]
    return [one["thumbnails__webp"] for one in thumbnails.run(rows, thumbnails.Params(**params), tools)]


@pytest.mark.parametrize("side", [64, 256, 640])
@pytest.mark.parametrize("size", [(1500, 1000), (700, 1400), (90, 60)])
def test_a_thumbnail_is_the_picture_no_larger_than_asked(tools, side, size):
    (data,) = made(tools, saved(tools.workspace, *size), side=side)
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "WEBP"
        scale = min(1.0, side / max(size))
        assert np.abs(np.subtract(image.size, np.multiply(size, scale))).max() <= 1
        assert max(image.size) == min(side, max(size))
        found = np.asarray(image.convert("RGB")).astype(int)
    half = found.shape[1] // 2
    assert found[:, : half - 4, 0].mean() > 180 > 60 > found[:, half + 4 :, 0].mean()
    assert found[:, half + 4 :, 2].mean() > 180 > 60 > found[:, : half - 4, 2].mean()


def test_better_quality_takes_more_bytes_and_order_is_kept(tools):
    one, other = saved(tools.workspace, 900, 600), saved(tools.workspace, 600, 900)
    low, high = made(tools, one, other, quality=20), made(tools, one, other, quality=90)
    assert all(len(a) < len(b) for a, b in zip(low, high, strict=True))
    shapes = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape for data in low]
    assert shapes == [(85, 128, 3), (128, 85, 3)]


def test_what_cannot_be_decoded_is_a_row(tools):
    seen = []
    tools.advance = seen.append
    good, bad = saved(tools.workspace, 40, 30), tools.workspace.keep_original(b"\xff\xd8\xff no picture")
    rows = [{"sample_id": bad}, {"sample_id": good}]
    first, second = thumbnails.run(rows, thumbnails.Params(), tools)
    assert first["error"]
    assert second["thumbnails__webp"]
    assert seen == [1, 2]
