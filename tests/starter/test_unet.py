import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel

from pipeline import models
from pipeline.methods import full
from pipeline.starter import pictures, unet, wording
from pipeline.starter.vae import to_model


@pytest.fixture(scope="module")
def shipped():
    return models.load_vae("starter"), *models.load_text_encoder("starter")


@pytest.fixture(scope="module")
def data(shipped):
    return unet.examples(*shipped, count=10)


def test_examples_are_moments_and_texts_of_training_pictures(shipped, data):
    vae, encoder, words = shipped
    assert data.moments.shape == (10, 8, 16, 16)
    assert data.text.shape == (10, 77, 128)
    assert data.empty_text.shape == (77, 128)
    assert data.scale == vae.config.scaling_factor
    drawn = [pictures.picture(50_000_000 + seed, held_out=False) for seed in range(10)]
    assert not any(one.scene.held_out for one in drawn)
    with torch.no_grad():
        decoded = vae.decode(data.moments[:, :4]).sample.clamp(-1, 1)
    assert float((decoded - to_model(np.stack([one.pixels for one in drawn]))).abs().mean()) < 0.1
    captions = [wording.with_strange_prefix(one.caption, seed) for seed, one in enumerate(drawn)]
    texts = unet.encode(encoder, words, captions)
    assert torch.allclose(data.text.float(), texts, atol=2e-2)


def test_texts_are_encoded_as_the_pipeline_encodes_its_prompts(shipped):
    _, encoder, words = shipped
    pipe = models.load_pipeline("starter")
    with torch.no_grad():
        theirs, empty = pipe.encode_prompt("a small red circle", "cpu", 1, do_classifier_free_guidance=True)
    ours = unet.encode(encoder, words, ["a small red circle", ""])
    assert torch.allclose(ours, torch.cat([theirs, empty]), atol=1e-5)


def test_the_noise_ends_with_nothing_of_the_picture_left():
    ours = unet.scheduler()
    assert torch.allclose(ours.betas, torch.linspace(1e-4, 0.02, 1000))
    assert float(ours.alphas_cumprod[-1]) < 1e-4
    assert ours.config.prediction_type == "epsilon"


def test_the_shipped_pipeline_samples_with_the_noise_of_training():
    trained, sampled = models.load_scheduler("starter"), models.load_pipeline("starter").scheduler
    assert torch.allclose(trained.betas, unet.scheduler().betas)
    assert torch.allclose(sampled.betas, trained.betas)
    assert sampled.config.prediction_type == "epsilon"


def test_it_fits_latents_and_texts():
    model = unet.build()
    with torch.no_grad():
        made = model(torch.zeros(2, 4, 16, 16), torch.tensor([3, 700]), torch.zeros(2, 77, 128)).sample
    assert made.shape == (2, 4, 16, 16)
    again = unet.build().state_dict()
    assert all(torch.equal(value, again[name]) for name, value in model.state_dict().items())


def test_training_writes_a_unet_that_diffusers_opens_and_goes_on_after_a_kill(data, tmp_path, monkeypatch):
    whole = unet.train(data, tmp_path / "whole", steps=2, say=lambda text: None)
    before = unet.build().state_dict()
    assert not torch.equal(before["conv_in.weight"], whole.state_dict()["conv_in.weight"])
    again = UNet2DConditionModel.from_pretrained(tmp_path / "whole" / "weights" / "unet", local_files_only=True)
    assert all(torch.equal(value, whole.state_dict()[name]) for name, value in again.state_dict().items())

    class KilledError(Exception):
        pass

    def killed(model, examples, scheduler, settings, **named):
        def stop(step, current):
            if step == 2:
                raise KilledError

        often = settings.model_copy(update={"checkpoint_every": 1})
        return plain(model, examples, scheduler, often, **named, on_checkpoint=stop)

    plain = full.train
    monkeypatch.setattr(unet.full, "train", killed)
    with pytest.raises(KilledError):
        unet.train(data, tmp_path / "cut", steps=2, say=lambda text: None)
    monkeypatch.undo()
    said = []
    resumed = unet.train(data, tmp_path / "cut", steps=2, say=said.append)
    assert said[0] == "going on after step 1"
    assert all(torch.equal(value, whole.state_dict()[name]) for name, value in resumed.state_dict().items())


def test_classes_are_those_of_the_real_ones(shipped):
    assert isinstance(shipped[0], AutoencoderKL)
    assert isinstance(unet.scheduler(), DDPMScheduler)
