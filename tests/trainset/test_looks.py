import cv2
import numpy as np
import pytest

from pipeline import imaging
from pipeline.dedup import perceptual
from pipeline.settings import Buckets
from pipeline.stage import Tools, ensure
from pipeline.trainset import looks
from pipeline.workspace import Workspace

SIZES = Buckets(resolution=128)


def test_views_of_one_picture_are_hashed_as_training_sees_them(tmp_path):
    noise = np.random.default_rng(3).normal(128, 50, (6, 6, 3)).clip(0, 255).astype(np.uint8)
    data = imaging.encode_png(cv2.resize(noise, (300, 300), interpolation=cv2.INTER_CUBIC))
    tools = Tools(Workspace.create(tmp_path / "w"))
    sample_id, picture = tools.workspace.keep_original(data), imaging.decode(data)
    bad = tools.workspace.keep_original(b"no picture")
    flip = '[{"HorizontalFlip": {"p": 1.0}}]'
    rows = [
        {"sample_id": sample_id, "pixel_id": picture.pixel_id, "view": view, "transforms": flip if view else "[]"}
        for view in (0, 1)
    ]
    rows.append({"sample_id": bad, "pixel_id": "x", "view": 0, "transforms": "[]"})
    one, mirrored, error = ensure(looks, rows, looks.Params(buckets=SIZES), tools).table().to_pylist()
    whole = perceptual.measure(picture, perceptual.Params())["perceptual__hash"]
    turned = perceptual.measure_pixels(np.ascontiguousarray(picture.pixels[:, ::-1]), perceptual.Params())
    assert (one["looks__hash"] ^ whole).bit_count() <= 2
    assert (mirrored["looks__hash"] ^ turned["perceptual__hash"]).bit_count() <= 2
    assert (mirrored["looks__hash"] ^ whole).bit_count() > 10
    assert error["error"]


@pytest.mark.parametrize("side", [40, 128, 600])
def test_a_flat_view_says_so(side):
    assert looks.of(np.full((side, side, 3), 90, np.uint8), "p", 0, (), SIZES)["looks__flat"]
