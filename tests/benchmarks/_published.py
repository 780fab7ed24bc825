"""Base models of the published architectures with drawn weights, in diffusers' layout, and pictures to train on."""

import json
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from PIL import Image
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from pipeline import families
from pipeline.original import kinds, tokenizer
from pipeline.original.kinds import Kind
from pipeline.starter.pictures import picture

KINDS = {kind.name: kind for kind in kinds.KINDS}


def unet(kind: Kind, device: str) -> Any:
    """The UNet with weights drawn on the device, in float32."""
    torch.manual_seed(0)
    with torch.device(device):
        return UNet2DConditionModel.from_config(kind.published["unet"])


def shapes(kind: Kind) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
    """The shapes of weights by name: the UNet's, and all text encoders' after their folders' names."""
    with torch.device("meta"):
        painter = UNet2DConditionModel.from_config(kind.published["unet"])
        texts = {part: _reads(part)(CLIPTextConfig(**kind.published[part])) for part in kind.texts}
    named = [(f"{part}.{name}", one) for part, model in texts.items() for name, one in model.named_parameters()]
    return {name: tuple(one.shape) for name, one in painter.named_parameters()}, {
        name: tuple(one.shape) for name, one in named
    }


def write(kind: Kind, folder: Path, device: str, *, painter: bool) -> None:
    """Write the model's folder, in bfloat16; without a UNet's weights where it is to be no `painter`."""
    told = kind.published
    torch.manual_seed(1)
    with torch.device(device):
        vae = AutoencoderKL.from_config(told["vae"])
        texts = {part: _reads(part)(CLIPTextConfig(**told[part])) for part in kind.texts}
    vae.to(torch.bfloat16).save_pretrained(folder / "vae")
    for part, encoder in texts.items():
        encoder.to(torch.bfloat16).save_pretrained(folder / part)
        tokenizer.write(folder / families.tokenizer_of(part))
    if painter:
        unet(kind, device).to(torch.bfloat16).save_pretrained(folder / "unet")
    else:
        _json(folder / "unet" / "config.json", told["unet"])
    _json(folder / "scheduler" / "scheduler_config.json", told["scheduler"])
    parts = {
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "scheduler": ["diffusers", told["scheduler"]["_class_name"]],
    }
    for part in kind.texts:
        parts |= {part: ["transformers", _reads(part).__name__]}
        parts |= {families.tokenizer_of(part): ["transformers", "CLIPTokenizer"]}
    _json(
        folder / "model_index.json",
        {"_class_name": kind.family.pipelines[0], "_diffusers_version": diffusers.__version__, **parts},
    )


def pictures(folder: Path, *, count: int, side: int) -> list[tuple[Path, str]]:
    """Draw pictures of `side` px as JPEG with their captions beside them; the files and the captions."""
    folder.mkdir(parents=True)
    made = []
    for seed in range(count):
        one = picture(seed, side=side)
        path = folder / f"{seed:04d}.jpg"
        Image.fromarray(one.pixels).save(path, quality=92)
        path.with_suffix(".txt").write_text(one.caption, encoding="utf-8")
        made.append((path, one.caption))
    return made


def _reads(part: str) -> Any:
    return CLIPTextModel if part == "text_encoder" else CLIPTextModelWithProjection


def _json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2), encoding="utf-8")
