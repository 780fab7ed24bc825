import copy

import pytest
import torch
from diffusers import DDPMScheduler

from pipeline import models, sampling
from pipeline.methods import full, lora, textual_inversion
from pipeline.metrics import stable_loss
from pipeline.training.data import MemoryExamples
from pipeline.training.job import Job
from pipeline.training.precision import compute_in
from pipeline.training.settings import TrainSettings

SCHEDULER = DDPMScheduler(beta_schedule="scaled_linear")


def examples(count=4):
    draws = torch.Generator().manual_seed(1)
    moments, text = torch.randn(count, 8, 8, 8, generator=draws), torch.randn(count, 77, 128, generator=draws)
    return MemoryExamples(moments, text, torch.zeros(77, 128), scale=0.5)


def asked(unet):
    """What the UNet makes of some latents."""
    draws = torch.Generator().manual_seed(2)
    noisy, text = torch.randn(2, 4, 8, 8, generator=draws), torch.randn(2, 77, 128, generator=draws)
    with torch.no_grad():
        return unet(noisy, torch.tensor([10, 700]), encoder_hidden_states=text).sample


def painter(**chosen):
    return models.load_painter("starter", **chosen)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_weights_stored_in_half_answer_as_those_that_autocast_rounds(precision):
    wide = painter(precision=precision).unet.eval()
    narrow = painter(precision=precision, frozen=True).unet.eval()
    answer = asked(narrow)
    assert answer.dtype == torch.float32
    assert torch.equal(asked(wide), answer)
    plain = asked(painter().unet.eval())
    assert not torch.equal(plain, answer)
    assert torch.allclose(plain, answer, atol=0.05)


def test_frozen_weights_take_half_the_bytes_and_norms_stay_as_they_are():
    wide, narrow = painter().unet, painter(precision="bf16", frozen=True).unet
    bytes_of = [sum(one.numel() * one.element_size() for one in unet.parameters()) for unet in (wide, narrow)]
    assert bytes_of[1] < 0.51 * bytes_of[0]
    norms = {name: one for name, one in narrow.named_parameters() if "norm" in name}
    assert norms
    assert {one.dtype for one in norms.values()} == {torch.float32}
    assert {one.dtype for one in painter(precision="bf16").unet.parameters()} == {torch.float32}


def test_an_adapter_learns_the_same_beside_weights_of_half_the_bytes():
    """From the same beginning; peft rounds the one that it draws to the format of the layer beside it."""
    settings = TrainSettings(method="lora", steps=1, mixed_precision="bf16")
    narrow, wide = (painter(precision="bf16", frozen=frozen) for frozen in (True, False))
    for one in (narrow, wide):
        torch.manual_seed(0)
        lora.add_adapters(one, settings)
    draws = torch.Generator().manual_seed(3)
    learned = {name: value for name, value in wide.named_parameters() if value.requires_grad}
    assert learned
    for name, value in narrow.named_parameters():
        assert value.requires_grad == (name in learned)
        if value.requires_grad:
            assert value.dtype == torch.float32
            value.data.normal_(std=0.1, generator=draws)
            learned[name].data.copy_(value.data)
    gradients = []
    for one in (narrow, wide):
        noisy, text = torch.ones(2, 4, 8, 8), torch.ones(2, 77, 128)
        one.unet(noisy, torch.tensor([10, 700]), encoder_hidden_states=text).sample.square().mean().backward()
        gradients.append({name: value.grad for name, value in one.named_parameters() if value.requires_grad})
    assert all(torch.equal(value, gradients[1][name]) for name, value in gradients[0].items())
    assert max(float(value.abs().max()) for value in gradients[0].values()) > 0


def test_what_is_trained_stays_float32_and_is_evaluated_as_it_is_trained(tmp_path):
    settings = TrainSettings(method="full", steps=1, batch_size=2, mixed_precision="bf16", warmup_steps=0)
    one, seen = painter(precision="bf16"), []

    def look(_, model):
        seen.append(asked(model.unet))

    full.train(one, examples(), SCHEDULER, settings, Job(tmp_path, on_checkpoint=look))
    assert {value.dtype for value in one.parameters()} == {torch.float32}
    again = full.load(painter(precision="bf16"), tmp_path / "weights").unet.eval()
    assert torch.equal(asked(again), seen[0])
    exact = full.load(painter(), tmp_path / "weights").unet.eval()
    assert not torch.equal(asked(exact), seen[0])


def test_a_pipeline_paints_with_it():
    pipe = models.load_pipeline("starter", painter=painter(precision="bf16", frozen=True))
    (rough,) = sampling.sample(pipe, [("a big red circle", 1)], steps=4, size=64)
    (exact,) = sampling.sample(models.load_pipeline("starter"), [("a big red circle", 1)], steps=4, size=64)
    assert pipe.vae.dtype == torch.float32
    assert abs(rough.astype(float) - exact).mean() < 5


def test_nothing_else_computes_so_afterwards_even_after_a_failure_or_in_a_copy():
    one = painter(precision="bf16", frozen=True).unet.eval()
    with pytest.raises(RuntimeError):
        one(torch.zeros(1, 3, 8, 8), 1, encoder_hidden_states=torch.zeros(1, 77, 128))
    other = copy.deepcopy(one)
    assert torch.equal(asked(other), asked(one))
    left, right = torch.ones(2, 2), torch.ones(2, 2)
    assert (left @ right).dtype == torch.float32


def test_no_precision_changes_nothing():
    one = painter().unet.eval()
    before = asked(one)
    compute_in(one, "no", frozen=True)
    assert torch.equal(asked(one), before)


@pytest.mark.parametrize("method", ["lora", "textual_inversion", "full"])
def test_a_model_of_sdxls_shape_learns_and_paints_in_half_precision(sdxl, tmp_path, method):
    settings = TrainSettings(
        method=method,
        steps=2,
        batch_size=2,
        mixed_precision="bf16",
        learning_rate=1e-3,
        warmup_steps=0,
        text_encoder=method == "lora",
        **({"placeholder": "<new>", "initial_words": "circle"} if method == "textual_inversion" else {}),
    )
    one = models.load_painter(str(sdxl), reads=method != "full", precision="bf16", frozen=settings.frozen)
    draws = torch.Generator().manual_seed(1)
    moments, text = (
        torch.randn(4, 8, 16, 16, generator=draws),
        torch.randn(4, 77, one.unet.config.cross_attention_dim, generator=draws),
    )
    width = models.load_text_encoder(str(sdxl), part="text_encoder_2")[0].config.projection_dim
    pooled = torch.randn(4, width, generator=draws)
    data = MemoryExamples(
        moments,
        text,
        torch.zeros_like(text[0]),
        scale=0.13025,
        pooled=pooled,
        empty_pooled=torch.zeros(width),
        time_ids=torch.tensor([[64.0, 64, 0, 0, 64, 64]] * 4),
        words=[f"a <new> circle, number {number}" for number in range(4)],
    )
    learned = {"lora": lora, "textual_inversion": textual_inversion, "full": full}[method]
    result = learned.train(one, data, SCHEDULER, settings, Job(tmp_path))
    assert len(result.losses) == 2
    assert stable_loss.measure(one, data, SCHEDULER, rows=[0], timesteps=[500])[0].loss > 0
    pipe = models.load_pipeline(str(sdxl), painter=one)
    (picture,) = sampling.sample(pipe, [("a red circle", 1)], steps=2, size=64)
    assert picture.std() > 0
    again = models.load_painter(str(sdxl), reads=method != "full", precision="bf16", frozen=settings.frozen)
    other = models.load_pipeline(str(sdxl), painter=learned.load(again, result.folder))
    (same,) = sampling.sample(other, [("a red circle", 1)], steps=2, size=64)
    assert (picture == same).all()
