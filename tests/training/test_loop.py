"""The loop with a model of one number; what it does for real models is tested with the methods and in tests/traps."""

import json
import math
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from pipeline.errors import GessoError, InputError
from pipeline.training import checkpoints, loop
from pipeline.training.ahead import Ahead
from pipeline.training.job import Job, unheard
from pipeline.training.loop import Lesson
from pipeline.training.numbers import Numbers
from pipeline.training.settings import TrainSettings

TARGET = 3.0


@dataclass
class Points:
    """Five rows of one size; a batch is their numbers."""

    digest: str = "points"

    def __post_init__(self):
        self.sizes, self.repeats = [(1, 1)] * 5, [1] * 5

    def batch(self, rows):
        return Named(tuple(f"row-{row}" for row in rows), tuple(rows))


@dataclass
class Named:
    ids: tuple
    rows: tuple


class One(nn.Module):
    def __init__(self):
        super().__init__()
        self.value, self.still = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.ones(1))
        self.still.requires_grad = False


def lesson_of(model, seen=None, losses=None):
    def squares(batch, turn, autocast):
        if seen is not None:
            seen.append((turn, batch.rows, model.training, torch.rand(1).item()))
        with autocast:
            return (model.value - TARGET).square().expand(len(batch.rows)) * model.still

    def save(target, note):
        target.mkdir(parents=True, exist_ok=True)
        (target / "value.json").write_text(json.dumps([model.value.item(), dict(note)]))

    def load(source):
        model.value.data.fill_(json.loads((source / "value.json").read_text())[0])

    return lambda: Lesson(model, losses or squares, save, load)


def settings(**changes):
    chosen = {"steps": 6, "batch_size": 2, "learning_rate": 0.1, "lr_schedule": "constant", "checkpoint_every": 2}
    return TrainSettings(**{**chosen, "optimizer": "sgd", "max_grad_norm": 0, "weight_decay": 0, **changes})


def train(folder, model, *, begin=None, say=unheard, on_checkpoint=None, header=None, told=None, **changes):
    def progress(done, steps, _note):
        if told is not None:
            told.append((done, steps))

    job = Job(folder, say=say, on_checkpoint=on_checkpoint, header=header or {}, progress=progress)
    return loop.run(begin or lesson_of(model), Points(), settings(**changes), job, device=torch.device("cpu"))


def test_steps_are_those_of_plain_descent_with_momentum(tmp_path):
    model, told = One(), []
    result = train(tmp_path, model, told=told)
    value, speed, losses = 0.0, 0.0, []
    for _ in range(6):
        losses.append((value - TARGET) ** 2)
        speed = 0.9 * speed + 2 * (value - TARGET)
        value -= 0.1 * speed
    assert result.losses == pytest.approx(losses, rel=1e-5)
    assert model.value.item() == pytest.approx(value, rel=1e-5)
    assert model.still.item() == 1.0
    assert told == [(step, 6) for step in range(7)]
    stored, note = json.loads((result.folder / "value.json").read_text())
    assert stored == model.value.item()
    assert note["gesso_trainset_digest"] == "points"


def test_what_is_looked_at_and_kept_is_the_average_and_the_raw_weights_lie_beside(tmp_path):
    model, looked = One(), {}
    result = train(
        tmp_path,
        model,
        ema_decay=0.5,
        on_checkpoint=lambda step, one: looked.update({step: (one.value.item(), one.training)}),
    )
    raw = json.loads((result.folder / loop.RAW / "value.json").read_text())[0]
    kept = json.loads((result.folder / "value.json").read_text())[0]
    assert kept == model.value.item() == looked[6][0]
    assert abs(kept - raw) > 0.01
    assert not any(training for _, training in looked.values())


def test_a_stopped_training_reads_the_same_turns_and_draws_the_same(tmp_path):
    straight, whole, first, second = [], One(), [], []
    train(tmp_path / "straight", whole, begin=lesson_of(whole, straight))

    def stop(step, _):
        if step == 4:
            raise KeyboardInterrupt

    model = One()
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", model, begin=lesson_of(model, first), on_checkpoint=stop)
    said, model = [], One()
    train(tmp_path / "cut", model, begin=lesson_of(model, second), say=said.append)
    assert first == straight[:4]
    assert second == straight[2:]
    assert all(training for _, _, training, _ in straight)
    assert said == ["going on after step 2"]
    assert model.value.item() == whole.value.item()


def test_the_lesson_begins_in_the_trainings_own_random_state(tmp_path):
    drawn = []

    def begin():
        drawn.append(torch.rand(1).item())
        return lesson_of(One())()

    torch.manual_seed(1)
    before = torch.get_rng_state()
    for number, seed in enumerate((3, 3, 4)):
        train(tmp_path / str(number), One(), begin=begin, seed=seed)
    assert drawn[0] == drawn[1] != drawn[2]
    assert torch.equal(before, torch.get_rng_state())


def test_another_training_does_not_go_on_in_the_same_folder(tmp_path):
    train(tmp_path, One(), header={"base": "one"})
    with pytest.raises(InputError, match=r"header\.base"):
        train(tmp_path, One(), header={"base": "two"})


def test_a_loss_that_is_not_finite_ends_it_with_the_last_good_checkpoint(tmp_path):
    model = One()

    def losses(batch, turn, autocast):
        return model.value.expand(len(batch.rows)) * (float("nan") if turn == 3 else 1.0)

    with pytest.raises(GessoError, match=r"step 4 is not finite for row-.*step-0000002"):
        train(tmp_path, model, begin=lesson_of(model, losses=losses))
    assert checkpoints.latest(tmp_path).step == 2


def test_killed_between_the_last_checkpoint_and_the_removal_of_older_ones_it_removes_them_then(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(loop.checkpoints, "prune", lambda *_, **__: None)
        patch.setattr(loop.checkpoints, "commit", killing(loop.checkpoints.commit, "weights"))
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, One(), keep_checkpoints=1)
    assert [one.name for one in sorted((tmp_path / "checkpoints").iterdir())] == [f"step-000000{n}" for n in (2, 4, 6)]
    train(tmp_path, One(), keep_checkpoints=1)
    assert [one.name for one in (tmp_path / "checkpoints").iterdir()] == ["step-0000006"]


def killing(commit, name):
    """`commit`, until it comes to the folder of this name."""

    def until(target, fill):
        if target.name == name:
            raise KeyboardInterrupt
        commit(target, fill)

    return until


def test_an_explosion_ends_it_and_leaves_the_last_checkpoint_from_before(tmp_path):
    model = One()

    def losses(batch, turn, autocast):
        with autocast:
            factor = 100.0 if turn >= 23 else 1.0
            return factor * (model.value * 0 + 1).expand(len(batch.rows))

    settings = TrainSettings(steps=40, batch_size=5, checkpoint_every=2, keep_checkpoints=3)
    job = Job(tmp_path, name=lambda one: f"{one}.jpg")
    with pytest.raises(
        GessoError, match=r"steps 24 to 28 it was 100 .* 1 was usual.*step 24: row-\d.jpg.*step-0000022\."
    ) as found:
        loop.run(lesson_of(model, losses=losses), Points(), settings, job, device=torch.device("cpu"))
    assert "max_loss_rise=null" in str(found.value)
    assert checkpoints.latest(tmp_path).step == 22
    # the same again, and with the watch off to the end
    with pytest.raises(GessoError, match="exploded"):
        loop.run(lesson_of(model, losses=losses), Points(), settings, job, device=torch.device("cpu"))
    regardless = settings.model_copy(update={"max_loss_rise": None})
    assert loop.run(lesson_of(model, losses=losses), Points(), regardless, job, device=torch.device("cpu")).steps == 40


@pytest.fixture
def lagging(monkeypatch):
    """The loop as on a GPU, whose numbers are read a step late, and whose batches a turn ahead."""
    monkeypatch.setattr(loop, "Ahead", lambda *given, **_: Ahead(*given, beside=True))
    monkeypatch.setattr(loop, "Numbers", lambda *given, **named: Numbers(*given, **{**named, "lags": True}))


def test_numbers_that_are_read_late_are_the_same(tmp_path, lagging, monkeypatch):
    late, told = One(), []
    found = train(tmp_path / "late", late, told=told)
    monkeypatch.undo()
    soon = One()
    assert train(tmp_path / "soon", soon).losses == found.losses
    assert torch.equal(late.value, soon.value)
    assert told == [(done, 6) for done in range(7)]
    assert (tmp_path / "late" / "metrics.parquet").read_bytes() == (tmp_path / "soon" / "metrics.parquet").read_bytes()


@pytest.mark.parametrize("bad", range(1, 6))
def test_nothing_is_saved_of_a_loss_that_is_not_finite_though_it_is_read_late(tmp_path, lagging, bad):
    model = One()

    def losses(batch, turn, autocast):
        with autocast:
            return (float("nan") if turn == bad else 1.0) * (model.value - TARGET).square().expand(len(batch.rows))

    with pytest.raises(GessoError, match=rf"the loss of step {bad + 1} is not finite"):
        train(tmp_path, model, begin=lesson_of(model, losses=losses))
    kept = checkpoints.latest(tmp_path)
    assert (kept.step if kept else 0) == bad // 2 * 2
    if kept:
        assert math.isfinite(json.loads((kept.folder / "value.json").read_text())[0])
