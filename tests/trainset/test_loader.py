import json

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline import imaging
from pipeline import workspace as workspace_module
from pipeline.errors import GessoError
from pipeline.settings import Buckets
from pipeline.stage import Tools, ensure
from pipeline.starter.pictures import picture
from pipeline.training.data import order
from pipeline.trainset import latents, texts
from pipeline.trainset.loader import Cells, ParquetExamples
from pipeline.workspace import Workspace

COUNT = 24
SIZES = Buckets(resolution=48, step=16)


@pytest.fixture(scope="module")
def tools(tmp_path_factory):
    return Tools(Workspace.create(tmp_path_factory.mktemp("loader")))


@pytest.fixture(scope="module")
def made(base, tools):
    """Rows of a training set, the latents and texts of which lie in the cache in small shards and row groups."""
    rows = []
    for seed in range(COUNT):
        pixels = picture(seed, side=48).pixels[:, : 48 if seed % 3 else 24]
        sample_id = tools.workspace.keep_original(imaging.encode_png(pixels))
        rows.append(
            {
                "sample_id": sample_id,
                "pixel_id": imaging.decode(tools.read(sample_id)).pixel_id,
                "view": 0,
                "transforms": json.dumps([]),
                "caption": f"picture {seed}" if seed % 5 else "the same",
                "repeats": 1 + seed % 2,
            }
        )
    captions = [{"caption": caption} for caption in sorted({"", *(row["caption"] for row in rows)})]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workspace_module, "ROW_GROUP_BYTES", 16_000)
        moments = ensure(latents, rows, latents.Params(buckets=SIZES, base=base), tools, cache=True, shard=7)
        embeddings = ensure(texts, captions, texts.Params(base=base), tools, cache=True, shard=5)
    return rows, moments, embeddings


def examples(made, **changes):
    rows, moments, embeddings = made
    return ParquetExamples(rows, moments, embeddings, digest="d", scale=0.25, **changes)


def stored_moments(made):
    return {
        row["pixel_id"]: np.frombuffer(row["latents__moments"], np.float32).reshape(
            row["latents__channels"], row["latents__height"], row["latents__width"]
        )
        for row in made[1].table().to_pylist()
    }


def stored_texts(made):
    return {
        row["caption"]: np.frombuffer(row["texts__embedding"], np.float32).reshape(77, 16)
        for row in made[2].table().to_pylist()
    }


@pytest.mark.parametrize("limit", [0, 40_000, 2**31])
def test_a_batch_pairs_a_rows_own_latents_with_its_own_caption_under_shuffling(made, limit):
    loaded = examples(made, limit=limit)
    moments, embeddings = stored_moments(made), stored_texts(made)
    seen = []
    for epoch in range(2):
        for rows in order(loaded.sizes, loaded.repeats, batch_size=4, seed=3, epoch=epoch):
            batch = loaded.batch(rows)
            assert batch.rows == tuple(rows)
            assert batch.pooled is None
            for place, row in enumerate(rows):
                told = made[0][row]
                assert batch.ids[place] == told["sample_id"]
                assert (batch.moments[place].numpy() == moments[told["pixel_id"]]).all()
                assert (batch.text[place].numpy() == embeddings[told["caption"]]).all()
            seen += rows
    assert sorted(seen) == sorted(row for row in range(COUNT) for _ in range(2 * made[0][row]["repeats"]))
    # a wrong pairing would show: pictures and captions differ
    assert len({one.tobytes() for one in moments.values()}) == COUNT
    assert len({one.tobytes() for one in embeddings.values()}) == len(embeddings)


def test_sizes_and_the_empty_caption(made):
    loaded = examples(made)
    assert loaded.sizes == [stored_moments(made)[row["pixel_id"]].shape[1:] for row in made[0]]
    assert len(set(loaded.sizes)) == 2
    assert (loaded.empty_text.numpy() == stored_texts(made)[""]).all()
    assert loaded.empty_text.dtype == torch.float32
    assert loaded.repeats == [1, 2] * (COUNT // 2)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=st.lists(st.integers(0, COUNT - 1), max_size=40), limit=st.sampled_from([0, 20_000, 50_000, 2**31]))
def test_memory_stays_within_its_bound_whatever_is_asked_for(made, wanted, limit):
    stored = made[1]
    cells = Cells(stored, ["latents__moments"], limit=limit)
    whole = stored.table().to_pylist()
    largest = 20_000
    for number in wanted:
        assert cells.row(number) == (whole[number]["latents__moments"],)
        assert 0 < cells.held_bytes <= max(limit, largest)


def test_what_is_in_memory_is_not_read_again(made, monkeypatch):
    from pipeline.trainset import loader

    reads, real = [], loader.pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        loader.pq.ParquetFile,
        "read_row_group",
        lambda file, *which, **how: reads.append(1) or real(file, *which, **how),
    )
    loaded = examples(made)
    for _ in range(3):
        for row in range(COUNT):
            loaded.batch([row])
    groups = [
        loader.pq.read_metadata(path).num_row_groups
        for folder in (made[1].folder, made[2].folder)
        for path in folder.iterdir()
    ]
    assert len(reads) <= sum(groups)
    assert max(groups) > 1


def test_a_picture_without_latents_is_named(made, base, tools):
    bad = tools.workspace.keep_original(b"no picture")
    row = {"sample_id": bad, "pixel_id": "x", "view": 0, "transforms": "[]", "caption": "", "repeats": 1}
    moments = ensure(latents, [row], latents.Params(buckets=SIZES, base=base), tools, cache=True)
    with pytest.raises(GessoError, match=f"{bad} has no latents: not_a_picture"):
        _ = ParquetExamples([row], moments, made[2], digest="d", scale=1.0).sizes
