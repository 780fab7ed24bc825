"""Several processes, real ones joined by gloo, train what one does."""

import os
import sys
import traceback

import pyarrow.parquet as pq
import pytest
import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from torch import distributed

from pipeline.errors import RecipeError
from pipeline.methods import full
from pipeline.training.job import Job
from pipeline.training.painter import Painter
from pipeline.training.settings import TrainSettings
from pipeline.training.team import ALONE, Team
from tests.traps.conftest import seven_examples, tiny_unet

SETTINGS = {"method": "full", "steps": 6, "batch_size": 4, "optimizer": "sgd", "checkpoint_every": 3, "seed": 5}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def train(folder, settings):
    full.train(Painter(tiny_unet()), seven_examples(), DDPMScheduler(), settings, Job(folder))


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


def same(one, other):
    assert one[0] == pytest.approx(other[0], rel=1e-5)
    assert all(torch.allclose(one[1][name], other[1][name], rtol=1e-5, atol=1e-6) for name in one[1])


def test_two_processes_have_the_losses_and_weights_of_one_and_go_on_where_one_stopped(tmp_path):
    settings = TrainSettings(**SETTINGS)
    train(tmp_path / "one", settings)
    team_trains(2, tmp_path / "two", tmp_path / "store", settings)
    same(ended(tmp_path / "two"), ended(tmp_path / "one"))
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


def test_what_cannot_be_shared_out_is_refused():
    ALONE.check(splits=False)
    Team(0, 2).check(splits=True)
    with pytest.raises(RecipeError, match="among 2 processes"):
        Team(0, 2).check(splits=False)
