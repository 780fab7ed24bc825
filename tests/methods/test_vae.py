import pytest
import torch
from diffusers import AutoencoderKL
from safetensors import safe_open

from pipeline.errors import RecipeError
from pipeline.methods import vae
from pipeline.training.job import Job
from pipeline.training.settings import TrainSettings

FILE = "vae/diffusion_pytorch_model.safetensors"


def settings(**changes):
    chosen = {"method": "vae", "steps": 4, "batch_size": 4, "learning_rate": 1e-3, "checkpoint_every": 2}
    return TrainSettings(**{**chosen, "ema_decay": 0.5, "freeze": [], **changes})


class Killed(Exception):  # noqa: N818 - it stands for a signal
    pass


def test_the_loss_is_l1_and_mse_and_kl_of_each_picture(tiny_vae, pixels):
    model = tiny_vae()
    batch = pixels.batch([0, 3, 5])
    found = vae.losses(model, batch)
    with torch.no_grad():
        for row, loss in zip((0, 3, 5), found, strict=True):
            target = pixels.batch([row]).pixels.float() / 127.5 - 1
            posterior = model.encode(target).latent_dist
            made = model.decode(posterior.mode()).sample
            wanted = (made - target).abs().mean() + ((made - target) ** 2).mean()
            variance = posterior.var
            kl = 0.5 * (posterior.mean**2 + variance - 1 - variance.log()).sum()
            assert loss.item() == pytest.approx((wanted + vae.KL_WEIGHT * kl / target.numel()).item(), rel=1e-5)


def test_latents_are_drawn_from_the_turns_own_stream(tiny_vae, pixels):
    batch = pixels.batch([0, 1])
    draws = [vae.losses(tiny_vae(), batch, draws=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize("ema_decay", [0.0, 0.5])
def test_a_killed_training_ends_bitwise_as_an_undisturbed_one(tiny_vae, pixels, tmp_path, ema_decay):
    chosen = settings(ema_decay=ema_decay)
    straight = vae.train(tiny_vae(), pixels, chosen, Job(tmp_path / "straight"))

    def kill(step, _):
        if step == 4:
            raise Killed

    with pytest.raises(Killed):
        vae.train(tiny_vae(), pixels, chosen, Job(tmp_path / "killed", on_checkpoint=kill))
    resumed = vae.train(tiny_vae(), pixels, chosen, Job(tmp_path / "killed"))
    assert resumed.losses == straight.losses
    files = sorted((tmp_path / "straight" / "weights").rglob("*.safetensors"))
    assert len(files) == (2 if ema_decay else 1)
    for path in files:
        assert path.read_bytes() == (tmp_path / "killed" / path.relative_to(tmp_path / "straight")).read_bytes()


def test_it_learns_and_diffusers_opens_what_it_writes(tiny_vae, pixels, tmp_path):
    model = tiny_vae()
    before = vae.losses(model, pixels.batch(range(6))).mean().item()
    vae.train(model, pixels, settings(steps=60, learning_rate=5e-3), Job(tmp_path))
    opened = AutoencoderKL.from_pretrained(tmp_path / "weights" / "vae")
    assert vae.losses(opened, pixels.batch(range(6))).mean().item() < 0.7 * before
    again = vae.load(tiny_vae(seed=1), tmp_path / "weights")
    assert torch.equal(vae.losses(again, pixels.batch([0])), vae.losses(opened, pixels.batch([0])))
    with safe_open(tmp_path / "weights" / FILE, "pt") as file:
        assert file.metadata()["gesso_trainset_digest"] == "d"


def test_the_scale_is_that_of_the_trained_latents(tiny_vae, pixels, tmp_path):
    model, said = tiny_vae(), []
    vae.train(model, pixels, settings(), Job(tmp_path, say=said.append))
    opened = AutoencoderKL.from_pretrained(tmp_path / "weights" / "vae")
    latents = opened.encode(pixels.batch(range(6)).pixels.float() / 127.5 - 1).latent_dist.mean
    assert opened.config.scaling_factor == pytest.approx(1 / latents.std().item(), rel=1e-3)
    assert model.config.scaling_factor == opened.config.scaling_factor
    assert any("scaling_factor is now" in text and "0.18215" in text for text in said)


def test_by_default_the_encoder_and_the_scale_stay(tiny_vae, pixels, tmp_path):
    chosen = TrainSettings(method="vae", steps=2, batch_size=4, learning_rate=1e-2)
    model = tiny_vae()
    vae.train(model, pixels, chosen, Job(tmp_path))
    before, after = tiny_vae().state_dict(), model.state_dict()
    still = {name for name, value in before.items() if torch.equal(value, after[name])}
    assert still == {name for name in before if name.startswith(("encoder.", "quant_conv."))}
    assert model.config.scaling_factor == 0.18215


def test_a_layer_that_is_not_there_is_the_recipes_fault(tiny_vae, pixels, tmp_path):
    with pytest.raises(RecipeError, match=r"train\.freeze.*nowhere"):
        vae.train(tiny_vae(), pixels, settings(freeze=["nowhere"]), Job(tmp_path))
