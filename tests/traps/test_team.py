"""Two processes, real ones joined by gloo, train what one does: each example once, gradients added, one writer."""

import pytest
import torch

from pipeline.training.settings import TrainSettings
from tests.training.test_team import SETTINGS, ended, same, seen_once, team_trains, train

ADD = "pipeline.training.team:Team.add_gradients"
SHARE = "pipeline.training.team:Team.share"
ACCUMULATE = "pipeline.training.gradients:Gradients.launch"
LOSS = "pipeline.training.gradients:Gradients.loss"


def settings():
    return TrainSettings(**{**SETTINGS, "steps": 2, "checkpoint_every": 1, "max_grad_norm": 0.0})


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    torch.set_num_threads(1)
    train(folder, settings())
    return ended(folder)


def two_are_one(folder, alone):
    team_trains(2, folder / "two", folder / "store", settings())
    same(ended(folder / "two"), alone)
    assert len(list((folder / "two" / "tensorboard").iterdir())) == 1
    seen_once(folder / "two", 2, settings())


TRAPS = {
    two_are_one: {
        "gradients are averaged": (
            ADD,
            "distributed.all_reduce(one.grad)",
            "distributed.all_reduce(one.grad), one.grad.div_(self.processes)",
        ),
        "gradients stay at home": (ADD, "for one in wanted:", "for one in []:"),
        "each takes the whole batch": (SHARE, "rank=self.rank, processes=self.processes", "rank=0, processes=1"),
        "both take the first share": (SHARE, "rank=self.rank", "rank=0"),
        "a mean of each process's own": (ACCUMULATE, "losses.sum() / count", "losses.mean()"),
        "the loss is one's own": (LOSS, "self.team.sum(math.fsum(found))", "math.fsum(found)"),
        "all write": ("pipeline.training.team:Team.leads", "self.rank == 0", "True"),
    },
}


def test_it_holds(check, alone, tmp_path):
    check(tmp_path, alone)


def test_a_planted_bug_is_found(check, bug, alone, tmp_path, plant):
    with plant(*bug), pytest.raises(AssertionError):
        check(tmp_path, alone)
