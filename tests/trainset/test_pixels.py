import json

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import imaging, models
from pipeline.errors import GessoError
from pipeline.settings import Buckets
from pipeline.stage import Tools
from pipeline.starter.pictures import picture
from pipeline.training.data import order
from pipeline.trainset import views
from pipeline.trainset.pixels import PixelBatch, PixelExamples, shown
from pipeline.workspace import Workspace

COUNT = 12
SIZES = Buckets(resolution=48, step=16)
ONE = 48 * 48 * 3
"""Bytes of the largest picture in its bucket."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    tools = Tools(Workspace.create(tmp_path_factory.mktemp("pixels")), workers=2)
    flip = [{"HorizontalFlip": {"p": 1.0}}]
    rows = []
    for number in range(COUNT):
        data = imaging.encode_png(picture(number // 2, side=48).pixels[:, : 48 if number % 6 else 24])
        rows.append(
            {
                "sample_id": tools.workspace.keep_original(data),
                "pixel_id": imaging.decode(data).pixel_id,
                "view": number % 2,
                "transforms": json.dumps(flip if number % 2 else []),
                "caption": f"picture {number}",
                "repeats": 1 + number % 3,
            }
        )
    return rows, tools


def examples(made, **changes):
    return PixelExamples(made[0], SIZES, made[1], digest="d", **changes)


def truth(made, number):
    row = made[0][number]
    pixels = imaging.decode(made[1].read(row["sample_id"])).pixels
    return views.make(pixels, row["pixel_id"], row["view"], json.loads(row["transforms"]), SIZES).pixels


@pytest.mark.parametrize("limit", [0, 3 * ONE, 2**31])
def test_a_batch_pairs_a_rows_own_view_with_its_own_caption_under_shuffling(made, limit):
    loaded, seen = examples(made, limit=limit), []
    for epoch in range(2):
        for rows in order(loaded.sizes, loaded.repeats, batch_size=3, seed=1, epoch=epoch):
            batch = loaded.batch(rows)
            assert batch.pixels.dtype == torch.uint8
            for place, row in enumerate(rows):
                assert batch.ids[place] == made[0][row]["sample_id"]
                assert batch.captions[place] == f"picture {row}"
                assert (batch.pixels[place].permute(1, 2, 0).numpy() == truth(made, row)).all()
            seen += rows
    assert sorted(seen) == sorted(row for row in range(COUNT) for _ in range(2 * made[0][row]["repeats"]))


def test_sizes_are_those_of_the_views(made):
    loaded = examples(made)
    assert loaded.sizes == [truth(made, number).shape[:2] for number in range(COUNT)]
    assert len(set(loaded.sizes)) == 2
    assert loaded.repeats == [1, 2, 3] * (COUNT // 3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(
    asked=st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=4), max_size=8),
    limit=st.sampled_from([0, ONE, 2 * ONE, 2**31]),
)
def test_memory_stays_within_its_bound_whatever_is_asked_for(made, asked, limit):
    loaded = examples(made, limit=limit)
    for rows in asked:
        assert loaded.batch(rows).pixels.shape[0] == len(rows)
        assert loaded._held_bytes == sum(one.nbytes for one in loaded._held.values()) <= limit


def test_what_is_in_memory_is_not_read_again(made, monkeypatch):
    loaded, reads = examples(made), []
    monkeypatch.setattr(made[1].__class__, "read", counting(made[1].__class__.read, reads))
    for _ in range(3):
        assert len(loaded.sizes) == COUNT
        loaded.batch([1, 2, 3])
    assert len(reads) == COUNT


def counting(read, reads):
    def counted(self, sample_id):
        reads.append(sample_id)
        return read(self, sample_id)

    return counted


def test_a_picture_that_is_gone_bad_is_named(made):
    rows, tools = made
    bad = tools.workspace.keep_original(b"no picture")
    with pytest.raises(GessoError, match=f"{bad} cannot be read again"):
        _ = PixelExamples([{**rows[0], "sample_id": bad}], SIZES, tools, digest="d").sizes


@pytest.mark.parametrize("part", ["clip", "blip"])
def test_a_processor_is_shown_what_it_would_see_itself(part):
    processor = models.load_processor(part, models.locate("starter", part=part))
    pixels = [picture(seed, side=96).pixels for seed in range(3)]
    batch = PixelBatch(torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2), ("",) * 3, ("",) * 3)
    wanted = processor.image_processor(images=[one.copy() for one in pixels], return_tensors="pt")["pixel_values"]
    found = shown(batch, processor, device=torch.device("cpu"))
    assert found.shape == (3, 3, 64, 64)
    assert torch.allclose(found, wanted, atol=1e-5)
