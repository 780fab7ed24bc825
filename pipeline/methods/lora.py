"""Train a low-rank update of the UNet's attention (Hu et al. 2021), and on request of the text encoders' along with it.

The models' own weights stay as they are. With `use_dora` the lengths of the adapted layers' rows are learned apart
(Liu et al. 2024); `conv_rank` adapts convolutions too, and `target_blocks` says in which blocks.

`weights/pytorch_lora_weights.safetensors` in the folder is the adapter to use (averaged, where `ema_decay` is above 0,
and then `weights/raw` has the one that the optimizer left); it opens with `load_lora_weights` of diffusers' pipelines.
`weights/kohya.safetensors` is the same in the layout of kohya's sd-scripts, which most other programs read.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import SchedulerMixin
from diffusers.loaders import StableDiffusionLoraLoaderMixin
from peft import LoraConfig

from pipeline.training import loop, targets, weights
from pipeline.training.data import Examples
from pipeline.training.denoising import Denoising
from pipeline.training.job import Job
from pipeline.training.loop import Lesson
from pipeline.training.objective import Objective
from pipeline.training.painter import Painter
from pipeline.training.result import Result
from pipeline.training.settings import TrainSettings

DESCRIPTION = "Train a low-rank update of the UNet's attention: a small file that any diffusers pipeline loads."
LEARNS = "unet"
EXAMPLES = "latents"

TEXT_TARGETS = ("q_proj", "k_proj", "v_proj", "out_proj")
"""Layers of a text encoder that are adapted: its attention, as in diffusers' examples and peft's defaults for CLIP."""


def train(
    painter: Painter,
    examples: Examples,
    scheduler: SchedulerMixin,
    settings: TrainSettings,
    job: Job,
) -> Result:
    """Give the painter's models adapters named `default` and train them where they lie, to the weights to use.

    The frozen weights keep their number format; the adapter's are float32. For all else see `loop.run`. Raises
    RecipeError where the settings name layers or blocks that the UNet does not have.
    """

    def begin() -> Lesson:
        config = add_adapters(painter, settings)
        if settings.gradient_checkpointing:
            painter.save_memory()

        def save(target: Path, note: Mapping[str, str]) -> None:
            predicted = scheduler.config.prediction_type
            for write in (weights.save_lora, weights.save_kohya):
                write(painter.parts, target, config=config, header=note, prediction=predicted)

        objective = Objective.chosen(scheduler, settings)
        denoising = Denoising(painter, examples, objective, settings)
        return Lesson(
            painter,
            losses=denoising.losses,
            draw=denoising.draw,
            splits=True,
            save=save,
            load=lambda source: weights.load_lora(painter.parts, source),
            rates=settings.rates,
        )

    return loop.run(begin, examples, settings, job, device=painter.device)


def add_adapters(painter: Painter, settings: TrainSettings) -> LoraConfig:
    """Freeze the painter and give its models trainable float32 adapters, which change nothing yet; return the UNet's.

    They are drawn from torch's global stream: the UNet's, then those of the text encoders that are at work. Raises
    RecipeError where the settings name layers or blocks that the UNet does not have.
    """
    painter.requires_grad_(False)  # noqa: FBT003 - torch's own signature
    config = targets.config(painter.unet, settings)
    for name, model in painter.parts.items():
        of_texts = replace(config, target_modules=set(TEXT_TARGETS), rank_pattern={}, alpha_pattern={})
        model.add_adapter(config if name == "unet" else of_texts)
    for one in painter.parameters():
        if one.requires_grad:
            one.data = one.data.to(torch.float32)
    return config


def load(painter: Painter, folder: Path) -> Painter:
    """The base model's painter with the trained weights in `folder` (a result's), where it lies."""
    for name, model in painter.parts.items():
        if name == "unet":
            model.load_lora_adapter(folder, prefix="unet", weight_name=weights.LORA_FILE)
        else:
            layers, _, told = StableDiffusionLoraLoaderMixin.lora_state_dict(
                folder, weight_name=weights.LORA_FILE, return_lora_metadata=True
            )
            StableDiffusionLoraLoaderMixin.load_lora_into_text_encoder(layers, None, model, prefix=name, metadata=told)
    return painter
