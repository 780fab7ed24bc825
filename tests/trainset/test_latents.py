import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from pipeline import imaging, models
from pipeline.settings import Buckets
from pipeline.stage import ensure, fingerprint
from pipeline.starter.pictures import picture
from pipeline.trainset import latents, views

SIZES = Buckets(resolution=64, step=16)
FLIP = [{"HorizontalFlip": {"p": 1.0}}]


@pytest.fixture
def params(base):
    return latents.Params(buckets=SIZES, base=base)


def rows(tools, seeds, *, number=1, width=48):
    made = []
    for seed in seeds:
        pixels = picture(seed, side=48).pixels[:, :width]
        sample_id = tools.workspace.keep_original(imaging.encode_png(pixels))
        pixel_id = imaging.decode(tools.read(sample_id)).pixel_id
        for view in range(number):
            transforms = json.dumps(FLIP if view else [])
            made.append({"sample_id": sample_id, "pixel_id": pixel_id, "view": view, "transforms": transforms})
    return made


# an untrained VAE makes much of how floats are summed, and that goes by the size of a batch
TOLERANCE = 2e-3


def moments_of(row):
    shape = (row["latents__channels"], row["latents__height"], row["latents__width"])
    return np.frombuffer(row["latents__moments"], np.float32).reshape(shape)


def test_moments_are_the_vaes_own_raw(tools, params):
    asked = rows(tools, (1, 2), number=2) + rows(tools, (3,), width=24)
    stored = ensure(latents, asked, params, tools).table().to_pylist()
    vae = models.load_vae(params.base)
    for row, asked_row in zip(stored, asked, strict=True):
        pixels = imaging.decode(tools.read(asked_row["sample_id"])).pixels
        transforms = json.loads(asked_row["transforms"])
        view = views.make(pixels, asked_row["pixel_id"], row["view"], transforms, SIZES)
        with torch.no_grad():
            picture_in = torch.from_numpy(view.pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
            wanted = vae.encode(picture_in).latent_dist
        found = moments_of(row)
        mean, log_variance = np.split(found, 2)
        np.testing.assert_allclose(mean, wanted.mean[0], atol=TOLERANCE)
        np.testing.assert_allclose(log_variance, wanted.logvar[0], atol=TOLERANCE)
        assert found.shape == (8, view.placement.height // 4, view.placement.width // 4)
        assert (row["latents__original_width"], row["latents__original_height"]) == pixels.shape[1::-1]
        assert (row["latents__left"], row["latents__top"]) == (view.placement.left, view.placement.top)
    assert {moments_of(row).shape for row in stored} == {(8, 16, 16), (8, 20, 12)}


def test_a_picture_is_decoded_once_for_all_its_views(tools, params, monkeypatch):
    calls, real = [], imaging.decode
    asked = rows(tools, (1, 2), number=3)
    monkeypatch.setattr(imaging, "decode", lambda data, **rest: calls.append(1) or real(data, **rest))
    ensure(latents, asked, params, tools)
    assert len(calls) == 2


def test_a_picture_that_is_none_is_an_error_in_its_row(tools, params):
    bad = {"sample_id": tools.workspace.keep_original(b"no"), "pixel_id": "x", "view": 0, "transforms": "[]"}
    table = ensure(latents, [bad, *rows(tools, (1,))], params, tools).table()
    errors = table["error"].to_pylist()
    assert errors[0].startswith("not_a_picture: ")
    assert errors[1] is None


def test_neither_company_nor_order_changes_a_row(tools, params):
    asked = rows(tools, range(5))
    together = {row["pixel_id"]: moments_of(row) for row in ensure(latents, asked, params, tools).table().to_pylist()}
    for row in asked[::2]:
        (alone,) = latents.run([row], params, tools)
        np.testing.assert_allclose(moments_of(alone), together[row["pixel_id"]], atol=TOLERANCE)


def test_what_counts_is_the_weights_and_not_the_models_name(params):
    other = latents.Params(buckets=SIZES, base="another/name", revision="main")
    assert fingerprint(latents, params, "hash") == fingerprint(latents, other, "hash")
    assert fingerprint(latents, params, "hash") != fingerprint(latents, params, "other")
    smaller = latents.Params(buckets=Buckets(resolution=48, step=16), base=params.base)
    assert fingerprint(latents, params, "hash") != fingerprint(latents, smaller, "hash")


def test_a_shard_says_how_to_read_its_moments(tools, params):
    stored = ensure(latents, rows(tools, (1,)), params, tools, weights="abc", header=latents.header(params))
    (path,) = stored.folder.iterdir()
    told = {key.decode(): text.decode() for key, text in pq.read_schema(path).metadata.items()}
    assert (told["gesso_weights"], told["gesso_scale"], told["gesso_shift"]) == ("abc", "0.25", "0.0")
    assert (told["gesso_dtype"], told["gesso_torch"]) == ("float32", torch.__version__.partition("+")[0])
    assert json.loads(told["gesso_params"])["buckets"]["resolution"] == 64
    assert params.base not in told.values()
