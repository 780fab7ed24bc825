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


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vae, "POOL", 24)
        patch.setattr(vae, "SPREAD_OF", 64)
        work = tmp_path_factory.mktemp("vae")
        short = vae.train(work / "short", steps=1, batch=4, say=lambda text: None)
        return short, vae.train(work / "longer", steps=20, batch=8, say=lambda text: None)


def test_it_shrinks_by_four_to_four_channels(trained):
    latent = trained[1].encode(torch.zeros(1, 3, 64, 64)).latent_dist
    assert latent.mean.shape == (1, 4, 16, 16)
    assert trained[1].decode(latent.mean).sample.shape == (1, 3, 64, 64)


def test_the_scale_makes_latents_of_unit_spread(trained):
    drawn = np.stack([pictures.picture(seed, held_out=False).pixels for seed in range(64)])
    with torch.no_grad():
        means = trained[1].encode(vae.to_model(drawn)).latent_dist.mean
    assert float(means.std()) * trained[1].config.scaling_factor == pytest.approx(1.0, rel=1e-3)


def test_it_learns_in_a_few_steps(trained):
    first, later = (vae.psnr(one, count=8) for one in trained)
    assert later > first + 0.2


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
