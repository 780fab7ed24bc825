"""Items 1 to 3 of the notes: what is cached is paired, keyed and scaled rightly."""

import json
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL

from pipeline import imaging, models
from pipeline.settings import Buckets
from pipeline.stage import Tools, ensure
from pipeline.training.data import MemoryExamples, Turns
from pipeline.training.noise import draw, sample_latents
from pipeline.trainset import latents, texts
from pipeline.trainset.loader import ParquetExamples
from pipeline.workspace import Workspace

COUNT = 20
SIZES = Buckets(resolution=48, step=16)


class Numbered(torch.nn.Module):
    """Stands for VAE, text encoder and tokenizer: what it encodes is the number that the picture or caption shows."""

    device, dtype, model_max_length = torch.device("cpu"), torch.float32, 77
    added_tokens_encoder: ClassVar[dict[str, int]] = {}
    tokenize = staticmethod(str.split)

    def encode(self, pixels):
        grey = (pixels[:, 0, 0, 0] * 127.5 + 127.5).round()
        moments = grey.view(-1, 1, 1, 1).expand(-1, 8, pixels.shape[2] // 8, pixels.shape[3] // 8)
        return SimpleNamespace(latent_dist=SimpleNamespace(parameters=moments.clone()))

    def __call__(self, given, **_):
        if isinstance(given, str):
            return SimpleNamespace(input_ids=[0])
        if isinstance(given, list):
            return SimpleNamespace(input_ids=torch.tensor([int(one.rpartition(" ")[2] or -1) for one in given]))
        return (given.view(-1, 1, 1).expand(-1, 77, 4).float(),)


@pytest.fixture(autouse=True)
def stubs(monkeypatch):
    stub = Numbered()
    monkeypatch.setattr(models, "load_vae", lambda *_, **__: stub)
    monkeypatch.setattr(models, "load_text_encoder", lambda *_, **__: (stub, stub))


def rows_of(tools, count=COUNT):
    """Picture n is of grey n and has the caption "n"; two sizes; repeats."""
    rows = []
    for number in range(count):
        pixels = np.full((40, 40 if number % 3 else 80, 3), number, np.uint8)
        sample_id = tools.workspace.keep_original(imaging.encode_png(pixels))
        row = {"sample_id": sample_id, "pixel_id": f"p{number}", "view": 0, "transforms": "[]"}
        rows.append({**row, "caption": f"number {number}", "repeats": 1 + number % 2})
    return rows


def stored(tools, rows, *, params=None, weights="w"):
    """Moments and texts of the rows, and how many of each were computed."""
    before = len(tools.stats)
    captions = [{"caption": caption} for caption in dict.fromkeys(["", *(row["caption"] for row in rows)])]
    moments = ensure(
        latents, rows, params or latents.Params(buckets=SIZES), tools, weights=weights, cache=True, shard=6
    )
    embeddings = ensure(texts, captions, texts.Params(), tools, weights=weights, cache=True, shard=6)
    return moments, embeddings, tuple(one.computed for one in tools.stats[before:])


def latents_belong_to_their_captions_in_every_epoch(tiny):
    tools = Tools(Workspace.create(tiny.folder / "w"))
    rows = rows_of(tools)
    moments, embeddings, _ = stored(tools, rows)
    numbers = {row["sample_id"]: number for number, row in enumerate(rows)}
    sets = [ParquetExamples(rows, moments, embeddings, digest="d", scale=1.0, limit=limit) for limit in (0, 2**30)]
    whole = [sets[1].batch([row]) for row in range(COUNT)]
    sets.append(
        MemoryExamples(
            [one.moments[0] for one in whole],
            torch.stack([one.text[0] for one in whole]).flip(0),
            sets[0].empty_text,
            scale=1.0,
            captions=list(reversed(range(COUNT))),
            repeats=sets[0].repeats,
            ids=[row["sample_id"] for row in rows],
        )
    )
    assert len(set(sets[0].sizes)) == 2
    for examples in sets:
        turns, seen = Turns(examples, batch_size=4, seed=1), []
        for turn in range(3 * len(turns)):
            batch = examples.batch(turns.rows(turn))
            assert batch.moments[:, 0, 0, 0].tolist() == batch.text[:, 0, 0].tolist()
            assert batch.moments[:, 0, 0, 0].tolist() == [numbers[one] for one in batch.ids]
            seen += batch.rows
        assert sorted(seen) == sorted(row for row in range(COUNT) for _ in range(3 * (1 + row % 2)))


def each_thing_that_decides_a_row_misses_the_cache_alone(tiny):
    tools = Tools(Workspace.create(tiny.folder / "w"))
    rows = rows_of(tools, 3)
    other = rows_of(tools, 4)[3]
    assert stored(tools, rows)[2] == (3, 4)
    assert stored(tools, rows[::-1])[2] == (0, 0)
    assert stored(tools, rows[1:])[2] == (0, 0)

    def misses(*changes, **more):
        """How many rows are computed where the middle one has these changes, one after the other."""
        return [stored(tools, [rows[0], {**rows[1], **change}, rows[2]], **more)[2] for change in changes]

    flip, blur = (json.dumps([{name: {"p": 1.0}}]) for name in ("HorizontalFlip", "VerticalFlip"))
    # the same pixels in another file
    assert misses({"sample_id": other["sample_id"]}) == [(0, 0)]
    assert misses({"sample_id": other["sample_id"], "pixel_id": "p3"}) == [(1, 0)]
    assert misses({"view": 1}, {"view": 1, "transforms": flip}, {"view": 1, "transforms": blur}) == [(1, 0)] * 3
    assert misses({"view": 2}) == [(1, 0)]
    assert misses({"caption": "number 7"}, {"caption": "Number 7"}) == [(0, 1)] * 2
    assert misses({"repeats": 9}) == [(0, 0)]
    assert misses({}, params=latents.Params(buckets=Buckets(resolution=64, step=16))) == [(3, 0)]
    assert misses({}, params=latents.Params(buckets=SIZES, base="another", revision="b")) == [(0, 0)]
    assert misses({}, weights="v") == [(3, 4)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(latents, "VERSION", 99)
        assert misses({}) == [(3, 0)]
        patch.setattr(texts, "VERSION", 99)
        assert misses({}) == [(0, 4)]


def cached_latents_are_the_vaes_own_scaled_and_shifted_once(tiny):
    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=(4, 4, 4),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        norm_num_groups=2,
        latent_channels=4,
        scaling_factor=0.4,
        shift_factor=0.7,
    ).eval()
    vae.save_pretrained(tiny.folder / "vae")
    tools = Tools(Workspace.create(tiny.folder / "w"))
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    row = {"sample_id": tools.workspace.keep_original(imaging.encode_png(pixels)), "pixel_id": "p"}
    row |= {"view": 0, "transforms": "[]", "caption": "number 1", "repeats": 64}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models, "load_vae", lambda *_, **__: vae)
        patch.setattr(latents, "locate", lambda *_, **__: tiny.folder)
        moments, embeddings, _ = stored(tools, [row])
        told = latents.header(latents.Params())
    scale, shift = float(told["scale"]), float(told["shift"])
    assert (scale, shift) == (0.4, 0.7)
    examples = ParquetExamples([row], moments, embeddings, digest="d", scale=scale, shift=shift)
    with torch.no_grad():
        wanted = vae.encode(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1).latent_dist
    batch = examples.batch([0] * 64)
    mode = sample_latents(batch.moments[:1], scale=scale, shift=shift, draws=None)
    assert torch.allclose(mode, (wanted.mode() - 0.7) * 0.4, rtol=1e-5, atol=1e-6)
    drawn = torch.cat([draw(batch, examples, seed=0, turn=turn).latents for turn in range(30)])
    assert torch.allclose(drawn.mean(0), mode[0], atol=float(4 * 0.4 * wanted.std.max() / 1920**0.5))
    assert torch.allclose(drawn.std(0), 0.4 * wanted.std[0], rtol=0.12)


LATENTS, LOADER, STAGE = "pipeline.trainset.latents:", "pipeline.trainset.loader:", "pipeline.stage:"
ENCODE = ("pipeline.trainset.encoders:pixels", "vae.encode(tensor).latent_dist.parameters")
POINT = "torch.full_like(vae.encode(tensor).latent_dist.mean, -30.0)"
SAMPLE = "pipeline.training.noise:sample_latents"
TRAPS = {
    latents_belong_to_their_captions_in_every_epoch: {
        "the caption at the batch's place": (
            LOADER + "ParquetExamples.batch",
            '["caption"] for row in rows)',
            '["caption"] for row in range(len(rows)))',
        ),
        "the caption at the batch's place, in memory": (
            "pipeline.training.data:MemoryExamples.batch",
            "captions[row] for row in rows",
            "captions[row] for row in range(len(rows))",
        ),
        "captions by the alphabet": (
            LOADER + "ParquetExamples._captions",
            "enumerate(self._texts.wanted)",
            "enumerate(sorted(self._texts.wanted))",
        ),
        "moments in the order of their sizes": (
            LATENTS + "run",
            "made[place] = _row(view, one)",
            "made[next(free for free, row in enumerate(made) if not row)] = _row(view, one)",
        ),
        "texts in the order of their lengths": (
            "pipeline.trainset.texts:run",
            'encode([row["caption"] for row in rows[start : start + BATCH]])',
            'encode(sorted((row["caption"] for row in rows[start : start + BATCH]), key=len, reverse=True))',
        ),
        "the ids of the first rows": (
            LOADER + "ParquetExamples.batch",
            '["sample_id"] for row in rows',
            '["sample_id"] for row in range(len(rows))',
        ),
    },
    each_thing_that_decides_a_row_misses_the_cache_alone: {
        "transforms are not read": (LATENTS + "READS", "'transforms',", ""),
        "the file is in the key": (LATENTS + "KEY", "'pixel_id', ", "'sample_id', "),
        "views share a row": (LATENTS + "KEY", ", 'view'", ","),
        "weights do not count": (STAGE + "fingerprint", ", weights]", "]"),
        "the version does not count": (STAGE + "fingerprint", "module.VERSION, ", ""),
        "parameters do not count": (STAGE + "fingerprint", 'params.model_dump(mode="json")', "0"),
        "the model's name counts": (STAGE + "fingerprint", 'params.model_dump(mode="json")', "params.base"),
        "membership counts": (
            STAGE + "requests_of",
            "digest([row[name] for name in reads])",
            "digest([len(rows), *(row[name] for name in reads)])",
        ),
        "case does not count": (
            STAGE + "requests_of",
            "row[name] for name in key)",
            "str(row[name]).lower() for name in key)",
        ),
    },
    cached_latents_are_the_vaes_own_scaled_and_shifted_once: {
        "scaled twice": (*ENCODE, f"({ENCODE[1]} * vae.config.scaling_factor)"),
        "a sample is cached": (*ENCODE, f"torch.cat([vae.encode(tensor).latent_dist.sample(), {POINT}], 1)"),
        "the mean is cached": (*ENCODE, f"torch.cat([vae.encode(tensor).latent_dist.mean, {POINT}], 1)"),
        "cached in half precision": (*ENCODE, ENCODE[1] + ".half()"),
        "pixels from 0 to 1": (ENCODE[0], "/ 127.5 - 1.0", "/ 255.0"),
        "channels exchanged": (ENCODE[0], "torch.from_numpy(batch)", "torch.from_numpy(batch).flip(-1)"),
        "not scaled": (SAMPLE, "(mean - shift) * scale", "mean - shift"),
        "not shifted": (SAMPLE, "(mean - shift) * scale", "mean * scale"),
        "shifted after scaling": (SAMPLE, "(mean - shift) * scale", "mean * scale - shift"),
        "variance for standard deviation": (SAMPLE, ".mul_(0.5)", ".mul_(1.0)"),
        "the shift is lost": ("pipeline.model_files:latent_scale", 'config.get("shift_factor") or 0.0', "0.0"),
        "the scale is Stable Diffusion's": (
            "pipeline.model_files:latent_scale",
            'config.get("scaling_factor") or 0.18215',
            "0.18215",
        ),
    },
}


def test_it_holds(check, tiny):
    check(tiny)


def test_a_planted_bug_is_found(check, bug, tiny, plant):
    with plant(*bug), pytest.raises(AssertionError):
        check(tiny)
