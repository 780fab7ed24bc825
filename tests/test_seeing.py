from types import SimpleNamespace

import pytest
import torch

from pipeline import seeing
from pipeline.methods import blip, clip, vae


class Pictures:
    rows = [{"sample_id": "a", "caption": "one"}, {"sample_id": "b", "caption": "two"}]  # noqa: RUF012 (never changed)
    sizes = ((8, 8), (8, 8))

    def batch(self, rows):
        return SimpleNamespace(rows=rows)


class Model(torch.nn.Module):
    pass


@pytest.mark.parametrize(("learns", "more"), [("vae", {"reconstruction"}), ("clip", {"retrieval"}), ("blip", set())])
def test_it_measures_the_loss_and_what_goes_with_the_model(learns, more, monkeypatch):
    seen = []
    measures = {name: SimpleNamespace(measure=lambda *given: seen.append(given) or [7.0, 8.0]) for name in more}
    monkeypatch.setitem(seeing.MEASURES, learns, measures)
    inputs = () if learns == "vae" else ("processor",)

    def losses(_model, batch, *given):
        assert given == inputs
        return torch.tensor([float(row) for row in batch.rows])

    model = Model().train()
    found = seeing.values(SimpleNamespace(LEARNS=learns, losses=losses), model, Pictures(), *inputs)
    assert not model.training
    assert {(row["metric"], row["sample_id"]): row["value"] for row in found} == {
        ("example_loss", "a"): 0.0,
        ("example_loss", "b"): 1.0,
        **{(name, one): value for name in more for one, value in (("a", 7.0), ("b", 8.0))},
    }
    assert all(given[0] is model and given[2:] == inputs for given in seen)


def test_every_method_that_sees_pixels_is_measured():
    assert {one.LEARNS for one in (vae, clip, blip)} == set(seeing.MEASURES)
