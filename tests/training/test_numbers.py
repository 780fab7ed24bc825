from types import SimpleNamespace

import pytest
import torch

from pipeline.errors import GessoError
from pipeline.training.later import Later
from pipeline.training.numbers import Numbers, Taken
from pipeline.training.team import ALONE
from pipeline.training.watch import Watch


class Gradients:
    """Losses as they are told, and the steps that were asked for."""

    team = ALONE

    def __init__(self):
        self.read = []

    def loss(self, launched):
        self.read.append(launched)
        if launched == float("inf"):
            raise GessoError("the loss is not finite")
        return launched

    def refuse_norm(self, step, norm):
        if norm == float("inf"):
            raise GessoError(f"the gradient of step {step + 1} is not finite")

    def pictures(self, step):
        return f"picture {step}"

    def advice(self):
        return "Lower it."


def numbers(tmp_path, *, lags, factor=None):
    gradients, rows = Gradients(), []
    record = SimpleNamespace(add=lambda step, **values: rows.append((step, values["loss"], values["grad_norm"])))
    return Numbers(gradients, record, Watch([], factor=factor), folder=tmp_path, lags=lags), gradients, rows


def taken(step, loss=1.0, norm=2.0):
    return Taken(step, 0.1, loss, Later(torch.tensor(norm)))


def test_on_a_cpu_a_step_is_read_once_before_its_update_and_recorded_after(tmp_path):
    one, gradients, rows = numbers(tmp_path, lags=False)
    for step in range(3):
        one.look(taken(step, loss=float(step)))
        assert len(gradients.read) == step + 1
        assert len(rows) == step
        one.add(taken(step, loss=float(step)))
    assert rows == [(1, 0.0, 2.0), (2, 1.0, 2.0), (3, 2.0, 2.0)]
    assert gradients.read == [0.0, 1.0, 2.0]
    one.flush()
    assert len(rows) == 3


def test_where_it_lags_a_step_is_read_once_the_next_was_launched_and_at_a_checkpoint(tmp_path):
    one, gradients, rows = numbers(tmp_path, lags=True)
    for step in range(3):
        one.look(taken(step, loss=float(step)))
        one.add(taken(step, loss=float(step)))
        assert [row[0] for row in rows] == list(range(1, step + 1))
    one.flush()
    assert [row[0] for row in rows] == [1, 2, 3]
    assert gradients.read == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("bad", [{"loss": float("inf")}, {"norm": float("inf")}])
def test_what_is_not_finite_is_refused_before_the_update_or_one_step_late(tmp_path, bad):
    one, _, rows = numbers(tmp_path, lags=False)
    with pytest.raises(GessoError, match="not finite"):
        one.look(taken(0, **bad))
    late, _, rows = numbers(tmp_path, lags=True)
    late.look(taken(0, **bad))
    late.add(taken(0, **bad))
    with pytest.raises(GessoError, match="not finite"):
        late.add(taken(1))
    assert rows == []
    last, _, rows = numbers(tmp_path, lags=True)
    last.add(taken(0, **bad))
    with pytest.raises(GessoError, match="not finite"):
        last.flush()
    assert rows == []


@pytest.mark.parametrize("lags", [False, True])
def test_an_explosion_names_its_steps_whenever_it_is_seen(tmp_path, lags):
    one, _, rows = numbers(tmp_path, lags=lags, factor=20.0)
    for step in range(16 + lags):
        one.add(taken(step, loss=1.0 if step < 12 else 100.0))
    with pytest.raises(GessoError, match=r"in each of the steps 13 to 17 .*step 13: picture 12; .*step 17: picture 16"):
        one.add(taken(16 + lags, loss=100.0))
    assert len(rows) == 17
