import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.starter import pictures, vae


@given(seed=st.integers(0, 1000))
def test_pixels_become_what_the_vae_reads(seed):
    pixels = np.stack([pictures.picture(seed, side=32).pixels, pictures.clutter(seed, side=32)])
    made = vae.to_model(pixels)
    assert made.shape == (2, 3, 32, 32)
    assert made.dtype == torch.float32
    assert -1 <= float(made.min()) <= float(made.max()) <= 1
    back = ((made + 1) * 127.5).round().permute(0, 2, 3, 1).numpy().astype(np.uint8)
    assert (back == pixels).all()


def test_psnr_is_what_the_formula_says():
    class Same:
        """Gives every picture back with each value off by a tenth of the range."""

        def encode(self, target):
            self.latent_dist = self
            self.mean = target
            return self

        def decode(self, mean):
            self.sample = torch.where(mean > 0, mean - 0.2, mean + 0.2)
            return self

    assert vae.psnr(Same(), count=3) == pytest.approx(20.0, abs=1e-3)
