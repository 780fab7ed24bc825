"""Several processes, real ones joined by gloo, train what one does."""

import os
import sys
import traceback
from collections import Counter
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from torch import distributed
from transformers import CLIPTextConfig, CLIPTextModel

from pipeline import models
from pipeline.errors import RecipeError
from pipeline.methods import dreambooth, full
from pipeline.training.data import MemoryExamples, Turns
from pipeline.training.denoising import Denoising
from pipeline.training.job import Job
from pipeline.training.painter import Painter, Reader, TextEncoders
from pipeline.training.settings import TrainSettings
from pipeline.training.team import ALONE, Team
from tests.traps.conftest import seven_examples, tiny_unet

SETTINGS = {"method": "full", "steps": 6, "batch_size": 4, "optimizer": "sgd", "checkpoint_every": 3, "seed": 5}
SETTINGS |= {"learning_rate": 1e-2, "warmup_steps": 0}  # or the weights hardly move
WORDS = ["a", "red circle", "a blue square", "green", "two", "a star", "on the left"]
NOTHING = torch.zeros(77, 4)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def tiny_texts():
    tokenizer = models.load_text_encoder("starter")[1]
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=4,
        intermediate_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        eos_token_id=tokenizer.eos_token_id,
    )
    torch.manual_seed(1)
    return TextEncoders({"text_encoder": Reader(CLIPTextModel(config), tokenizer)})


def train(folder, settings):
    """Train a tiny model; each process notes which examples it took at which turn beside the folder."""
    painter = Painter(tiny_unet(), tiny_texts() if settings.text_encoder else None)
    examples = replace(seven_examples(), words=WORDS if settings.text_encoder else ())
    if settings.method == "dreambooth":
        examples = replace(examples, prior=MemoryExamples(torch.ones(5, 8, 4, 4), torch.ones(5, 77, 4), NOTHING, 0.5))
    true, rank = Denoising.losses, Team.here().rank

    def losses(self, batch, turn, autocast, *, part=None, drawn=None):
        with (folder.parent / f"{folder.name}-{rank}").open("a") as file:
            file.writelines(f"{turn} {one}\n" for one in (batch.ids if part is None else batch.ids[part.all]))
        return true(self, batch, turn, autocast, part=part, drawn=drawn)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Denoising, "losses", losses)
        {"dreambooth": dreambooth}.get(settings.method, full).train(
            painter, examples, DDPMScheduler(), settings, Job(folder)
        )


def seen_once(folder, processes, settings):
    """See that the processes together took each turn's examples once: of a whole epoch, each row as often as it is."""
    taken = Counter(
        line for rank in range(processes) for line in (folder.parent / f"{folder.name}-{rank}").read_text().splitlines()
    )
    examples = seven_examples()
    turns = Turns(examples, batch_size=settings.batch_size, seed=settings.seed)
    wanted = Counter(f"{turn} {examples.ids[row]}" for turn in range(settings.steps) for row in turns.rows(turn))
    assert taken == wanted


def team_trains(processes, folder, store, settings):
    """Train in `processes` children; each must end well."""
    children = []
    for rank in range(processes):
        child = os.fork()
        if not child:
            code = 1
            try:
                place = f"file://{store}"
                distributed.init_process_group("gloo", init_method=place, rank=rank, world_size=processes)
                train(folder, settings)
                code = 0
            except BaseException:
                traceback.print_exc(file=sys.__stderr__)
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * processes


def ended(folder):
    rows = pq.read_table(folder / "metrics.parquet").to_pylist()
    losses = [row["value"] for row in rows if row["name"] == "train/loss"]
    return losses, UNet2DConditionModel.from_pretrained(folder / "weights" / "unet").state_dict()


def same(one, other, *, rel=1e-5):
    assert one[0] == pytest.approx(other[0], rel=rel)
    assert all(torch.allclose(one[1][name], other[1][name], rtol=rel, atol=rel / 10) for name in one[1])


def test_two_processes_have_the_losses_and_weights_of_one_and_go_on_where_one_stopped(tmp_path):
    settings = TrainSettings(**SETTINGS)
    train(tmp_path / "one", settings)
    team_trains(2, tmp_path / "two", tmp_path / "store", settings)
    same(ended(tmp_path / "two"), ended(tmp_path / "one"))
    seen_once(tmp_path / "two", 2, settings)  # of two epochs of three batches
    names = [
        path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if "tensorboard" not in str(path)
    ]
    assert sorted(names) == sorted(
        path.relative_to(tmp_path / "two") for path in (tmp_path / "two").rglob("*") if "tensorboard" not in str(path)
    )
    assert len(list((tmp_path / "two" / "tensorboard").iterdir())) == 1
    # a team of three goes on where two stopped
    for newest in (tmp_path / "two" / "checkpoints").glob("step-0000006/*"):
        if newest.name == "state.pt":
            newest.write_bytes(b"")
    team_trains(3, tmp_path / "two", tmp_path / "other store", settings)
    same(ended(tmp_path / "two"), ended(tmp_path / "one"))


@pytest.mark.parametrize(
    ("chosen", "rel"),
    [
        ({"method": "dreambooth", "adapts": "full", "prior_weight": 2.0}, 1e-5),
        ({"text_encoder": True, "learning_rate": 1e-2}, 1e-5),
        ({"mixed_precision": "bf16"}, 2e-2),
    ],
    ids=["class pictures", "text encoder", "bf16"],
)
def test_two_processes_are_one_however_it_is_trained(tmp_path, chosen, rel):
    settings = TrainSettings(**{**SETTINGS, "steps": 3, **chosen})
    train(tmp_path / "one", settings)
    team_trains(2, tmp_path / "two", tmp_path / "store", settings)
    same(ended(tmp_path / "two"), ended(tmp_path / "one"), rel=rel)
    seen_once(tmp_path / "two", 2, settings)
    if settings.text_encoder:
        one, two = (
            CLIPTextModel.from_pretrained(tmp_path / name / "weights" / "text_encoder").state_dict()
            for name in ("one", "two")
        )
        first = tiny_texts().encoders["text_encoder"].state_dict()
        assert any(not torch.equal(one[name], first[name]) for name in one)
        assert all(torch.allclose(one[name], two[name], rtol=rel, atol=rel / 10) for name in one)


def test_what_cannot_be_shared_out_is_refused():
    ALONE.check(splits=False)
    Team(0, 2).check(splits=True)
    with pytest.raises(RecipeError, match="among 2 processes"):
        Team(0, 2).check(splits=False)
