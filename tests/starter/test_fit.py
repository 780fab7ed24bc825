import json

import pytest
import torch
from torch import nn
from torch.nn import functional

from pipeline.starter.fit import fit


class KilledError(Exception):
    """Ends a training where the test wants it."""


def model():
    torch.manual_seed(5)
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 1))


def loss_of(net, *, kill_at=None):
    def loss(step):
        if step == kill_at:
            raise KilledError
        draw = torch.Generator().manual_seed(step)
        points = torch.randn(32, 4, generator=draw)
        return functional.mse_loss(net(points).squeeze(1).float(), points.sum(dim=1))

    return loss


def quiet(text):
    pass


def trained(work, *, steps=60, net=None):
    net = net or model()
    return fit(net, loss_of(net), steps=steps, learning_rate=0.02, work=work, say=quiet)


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_learning_really_falls(tmp_path):
    net = model()
    at_first = loss_of(net)(0).item()
    done = trained(tmp_path, steps=150, net=net)
    assert not done.training
    assert loss_of(done)(0).item() < at_first / 5


def test_the_same_seeds_learn_the_same(tmp_path):
    torch.manual_seed(1)
    one = trained(tmp_path / "one")
    torch.manual_seed(2)
    assert same(one, trained(tmp_path / "two"))


@pytest.mark.parametrize("kill_at", [1, 20, 59])
def test_a_killed_training_goes_on_to_the_same_weights(tmp_path, monkeypatch, kill_at):
    monkeypatch.setattr("pipeline.starter.fit.CHECKPOINT_SECONDS", -1)
    whole = trained(tmp_path / "whole")
    net = model()
    with pytest.raises(KilledError):
        fit(net, loss_of(net, kill_at=kill_at), steps=60, learning_rate=0.02, work=tmp_path / "cut", say=quiet)
    assert torch.load(tmp_path / "cut" / "checkpoint.pt", weights_only=True)["step"] == kill_at
    asked = []
    net = model()
    loss = loss_of(net)

    def counted(step):
        asked.append(step)
        return loss(step)

    again = fit(net, counted, steps=60, learning_rate=0.02, work=tmp_path / "cut", say=quiet)
    assert asked == list(range(kill_at, 60))
    assert same(whole, again)


def test_a_finished_training_is_not_repeated(tmp_path):
    done = trained(tmp_path)

    def never(step):
        raise AssertionError(step)

    assert same(done, fit(model(), never, steps=60, learning_rate=0.02, work=tmp_path, say=quiet))


def test_a_half_written_checkpoint_is_no_checkpoint(tmp_path):
    (tmp_path / "checkpoint.new").write_bytes(b"torn")
    assert same(trained(tmp_path), trained(tmp_path / "fresh"))
    assert not (tmp_path / "checkpoint.new").exists()


def test_it_says_how_far_it_is_and_logs_it(tmp_path):
    said = []
    net = model()
    fit(net, loss_of(net), steps=120, learning_rate=0.02, work=tmp_path / "net", say=said.append)
    lines = [json.loads(line) for line in (tmp_path / "net" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [50, 100, 120]
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert [text.split(",")[0] for text in said] == ["net: step 50/120", "net: step 100/120", "net: step 120/120"]


@pytest.mark.parametrize("steps", [1, 2])
def test_a_step_or_two_are_enough(tmp_path, steps):
    assert not same(trained(tmp_path, steps=steps), model())
