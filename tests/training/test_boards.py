import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pipeline.training.boards import Boards, Seen
from pipeline.training.session import session
from pipeline.training.settings import TrainSettings

PICTURE = np.arange(8 * 9 * 3, dtype=np.uint8).reshape(8, 9, 3)


def show(folder, settings):
    with session(settings, device=torch.device("cpu")):
        boards = Boards(folder, settings, done=0, title="robots")
        boards.seen(0, Seen({"evaluation/stable_loss, held_out": 0.5}, {"samples/a star, seed 1": PICTURE}))
        boards.numbers(1, {"train/loss": 0.25})
        boards.flush()
        boards.close()


def test_numbers_and_pictures_reach_tensorboard(tmp_path):
    show(tmp_path, TrainSettings())
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(one.step, one.value) for one in board.Scalars("evaluation/stable_loss, held_out")] == [(0, 0.5)]
    assert [(one.step, one.value) for one in board.Scalars("train/loss")] == [(1, 0.25)]
    (picture,) = board.Images("samples/a star, seed 1")
    shown = np.asarray(Image.open(io.BytesIO(picture.encoded_image_string)))
    assert np.array_equal(shown, PICTURE)
    assert not (tmp_path / "wandb").exists()


def test_weights_and_biases_keeps_a_run_offline_where_asked(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "own"))
    folder = tmp_path / "0123abc"
    show(folder, TrainSettings(log_with="wandb", rank=7))
    wandb.teardown()  # a process of its own writes, and this waits for its end
    (run,) = (folder / "wandb").glob("offline-run-*")
    assert run.name.endswith("-0123abc")
    (kept,) = run.glob("*.wandb")
    data = kept.read_bytes()
    for said in (b"train/loss", b"evaluation/stable_loss, held_out", b"samples/a star, seed 1", b"robots"):
        assert said in data, said
    (picture,) = (run / "files" / "media").rglob("*.png")
    assert np.array_equal(np.asarray(Image.open(picture)), PICTURE)
    assert json.dumps(7).encode() in data
    assert wandb.run is None
