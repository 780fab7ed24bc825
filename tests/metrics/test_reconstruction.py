from types import SimpleNamespace

import pytest
import torch

from pipeline.metrics import reconstruction


class Pictures:
    """Grey pictures of two sizes."""

    greys = (0, 128, 255, 60)
    rows = range(4)
    sizes = ((4, 4), (4, 8), (4, 4), (4, 8))

    def batch(self, rows):
        made = [torch.full((3, *self.sizes[row]), self.greys[row], dtype=torch.uint8) for row in rows]
        return SimpleNamespace(pixels=torch.stack(made))


class Off:
    """A VAE that gives back what it was shown, off by some bytes."""

    device = torch.device("cpu")

    def __init__(self, by):
        self.by = by

    def encode(self, target):
        return SimpleNamespace(latent_dist=SimpleNamespace(mean=target))

    def decode(self, latents):
        return SimpleNamespace(sample=latents + self.by / 127.5)


@pytest.mark.parametrize("by", [1, 5, 40])
def test_it_is_the_ratio_of_the_peak_to_the_error_in_decibels(by):
    found = reconstruction.measure(Off(by), Pictures())
    wanted = 20 * torch.log10(torch.tensor(255.0 / by)).item()
    assert found[0] == pytest.approx(wanted, abs=1e-3)
    assert found[3] == pytest.approx(wanted, abs=1e-3)


def test_what_is_brighter_than_white_is_white():
    assert reconstruction.measure(Off(20), Pictures())[2] == pytest.approx(100.0)


def test_no_error_at_all_is_a_hundred_decibels():
    assert reconstruction.measure(Off(0), Pictures()) == pytest.approx([100.0] * 4)
