"""What a training takes, held against what autograd keeps, what torch counts, and what a real training takes."""

import gc
import os
import sys
from contextlib import contextmanager

import pytest
import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from pipeline import memory, models
from pipeline.methods import full, lora
from pipeline.model_files import config, locate
from pipeline.training import targets
from pipeline.training.data import MemoryExamples
from pipeline.training.footprint import HALF, footprint
from pipeline.training.job import Job
from pipeline.training.painter import Painter
from pipeline.training.settings import TrainSettings

STARTER = {name: value for name, value in config(locate("starter") / "unet").items() if value is not None}


@contextmanager
def attending(*, plain):
    """Attention as a CPU's: on the meta device torch would choose by itself."""
    true, ops = functional.scaled_dot_product_attention, torch.ops.aten
    none = {"dropout_p": 0.0, "is_causal": False}

    def attend(query, key, value, **_):
        if plain:
            return ops._scaled_dot_product_attention_math(query, key, value)[0]
        return ops._scaled_dot_product_flash_attention_for_cpu(query, key, value, **none)[0]

    functional.scaled_dot_product_attention = attend
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = true


def counted(unet, size, *, plain):
    """Bytes that autograd keeps of one example, and the operations of its forward pass; nothing is allocated."""
    own = {one.untyped_storage()._cdata for one in unet.parameters()}
    seen, kept = {}, []

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            seen[storage._cdata] = storage.nbytes()
            kept.append(tensor)
        return tensor

    told = {"encoder_hidden_states": torch.zeros(1, 77, unet.config.cross_attention_dim, device="meta")}
    noisy, step = torch.zeros(1, 4, *size, device="meta"), torch.zeros(1, dtype=torch.long, device="meta")
    flops = FlopCounterMode(display=False)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda one: one), attending(plain=plain), flops:
        answer = unet(noisy, step, **told).sample
    assert answer.requires_grad
    return sum(seen.values()), flops.get_total_flops()


def shapes(unet):
    return {name: tuple(one.shape) for name, one in unet.named_parameters()}


@pytest.mark.parametrize("side", [8, 24, 40])
@pytest.mark.parametrize(
    "chosen",
    [
        {"method": "full"},
        {"method": "lora"},
        {"method": "lora", "conv_rank": 4, "rank": 8},
        {"method": "lora", "target_blocks": ["up_blocks"], "use_dora": True},
        {"method": "lora", "gradient_checkpointing": True},
        {"method": "full", "freeze": ["mid_block"]},
    ],
    ids=lambda chosen: "-".join(map(str, chosen.values())),
)
def test_it_is_what_autograd_keeps_within_a_quarter(chosen, side):
    settings = TrainSettings(**chosen)
    with torch.device("meta"):
        unet = UNet2DConditionModel(**STARTER).train()
        found = footprint(shapes(unet), STARTER, settings, size=(side, side))
        if settings.method == "lora":
            unet.requires_grad_(requires_grad=False)
            unet.add_adapter(targets.config(unet, settings))
        for beginning in settings.freeze:
            getattr(unet, beginning).requires_grad_(requires_grad=False)
        if settings.gradient_checkpointing:
            unet.enable_gradient_checkpointing()
    assert found.parameters == sum(one.numel() for one in unet.parameters() if one.requires_grad)
    if settings.target_blocks or settings.use_dora:
        return  # an upper bound: nothing before the first trained layer is kept
    kept, flops = counted(unet, (side, side), plain=side * side <= 1024 and not settings.gradient_checkpointing)
    assert found.example == pytest.approx(kept, rel=0.25)
    passes = (3 if settings.method == "full" else 2.1) + settings.gradient_checkpointing
    assert found.flops == pytest.approx(passes * flops, rel=0.15)


def test_each_choice_has_its_price():
    known = shapes(models.load_painter("starter").unet)
    encoder = {f"text_encoder.{name}": shape for name, shape in shapes(models.load_text_encoder("starter")[0]).items()}
    numbers = sum(torch.Size(shape).numel() for shape in known.values())

    def of(**chosen):
        return footprint(known, STARTER, TrainSettings(**chosen), size=(8, 8), texts=chosen.pop("texts", None))

    whole = of(method="full")
    assert whole.weights == 4 * numbers
    assert whole.states == 12 * numbers  # the gradient and AdamW's two moments
    assert of(method="full", optimizer="sgd").states == 8 * numbers
    assert of(method="full", optimizer="adafactor").states == 4 * numbers
    assert of(method="full", ema_decay=0.9).states == 16 * numbers
    assert of(method="full", mixed_precision="bf16").example == pytest.approx(HALF * whole.example, abs=1)
    half = of(method="full", mixed_precision="bf16").weights
    assert half == 6 * numbers  # autocast's copy beside the weights
    assert of(method="lora", mixed_precision="bf16").weights < 0.45 * half  # that copy alone, and the adapter
    assert of(method="lora").states < whole.states / 20
    assert of(method="lora").example < whole.example
    assert whole.peak(8) - whole.peak(4) == 4 * whole.example
    assert of(method="dreambooth", adapts="full").parameters == whole.parameters == numbers
    texts = footprint(known, STARTER, TrainSettings(method="full", text_encoder=True), size=(8, 8), texts=encoder)
    assert texts.parameters - numbers == sum(torch.Size(shape).numel() for shape in encoder.values())
    assert texts.example > whole.example
    word = TrainSettings(method="textual_inversion", vectors=3, placeholder="<a>")
    assert footprint(known, STARTER, word, size=(8, 8), texts=encoder).parameters == 3 * STARTER["cross_attention_dim"]


def taken(folder, batch, settings):
    """Bytes that a child process takes at most for a training, beyond what it had."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            gc.collect()
            draws = torch.Generator().manual_seed(1)
            moments, text = torch.randn(batch, 8, 16, 16, generator=draws), torch.zeros(batch, 77, 128)
            examples = MemoryExamples(moments, text, torch.zeros(77, 128), scale=0.5)
            unet = models.load_painter("starter").unet
            memory.peak_mib()
            before = memory.peak_mib()
            (full if settings.method == "full" else lora).train(
                Painter(unet), examples, DDPMScheduler(), settings, Job(folder)
            )
            os.write(write, str(memory.peak_mib() - before).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as said:
        return float(said.read()) * 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets the high-water mark")
def test_a_real_training_takes_what_is_said_within_a_factor_of_two(tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    few, many = 4, 20
    known = shapes(models.load_painter("starter").unet)
    measured = []
    for batch in (few, many):
        settings = TrainSettings(method="full", steps=1, batch_size=batch, warmup_steps=0)
        measured.append(taken(tmp_path / str(batch), batch, settings))
    torch.set_num_threads(threads)
    found = footprint(known, STARTER, settings, size=(16, 16))
    wanted = found.peak(many) - found.peak(few)
    assert wanted / 2 < measured[1] - measured[0] < wanted * 2
