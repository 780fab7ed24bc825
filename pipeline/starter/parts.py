"""The starter's parts: what each begins with, what it hands on, and how good they are in the end."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import (
    BlipForConditionalGeneration,
    BlipProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTextModel,
)

from pipeline import atomic, models
from pipeline.starter import architectures, blip, clip, judge, quality, scene, vae, wording
from pipeline.workspace import write_bytes

CAPTIONS = 5_000
"""Captions that the tokenizers learn their words from."""
CLIP_SEED, BLIP_SEED = 1, 2


def write_architectures(folder: Path) -> None:
    """Write what each recipe begins with into `folder`, where it is not there yet.

    That is architectures; of the CLIP also weights, which are drawn but for the patches' places.
    """
    if folder.is_dir():
        return
    captions = [wording.caption(scene.scene(seed, held_out=False), seed=seed) for seed in range(CAPTIONS)]
    with atomic.folder(folder) as fresh:
        architectures.write(fresh, captions)
        drawn = models.load_trainable("clip", fresh / "clip", seed=CLIP_SEED)
        clip.know_places(drawn)
        drawn.save_pretrained(fresh / "clip")


def hand_on(part: str, trained: Path, folder: Path) -> None:
    """Put a part's trained weights where they are needed: in `folder/weights`, and in what the next parts begin with.

    They are rounded to float16 first, since that is what ships and what the others will meet. Configurations ask for
    float32, which is what a CPU computes in.
    """
    begun, made = folder / "models", folder / "weights"
    match part:
        case "vae":
            _save(AutoencoderKL.from_pretrained(trained / "vae"), begun / "sd" / "vae")
        case "clip":
            whole = CLIPModel.from_pretrained(trained / "clip")
            processor = CLIPProcessor.from_pretrained(begun / "clip")
            _save(whole, made / "clip", processor)
            _save(text_encoder(whole), begun / "sd" / "text_encoder")
            seeing = models.load_trainable("blip", begun / "blip", seed=BLIP_SEED)
            blip.take_eyes(seeing, CLIPModel.from_pretrained(made / "clip"))
            seeing.save_pretrained(begun / "blip")
        case "blip":
            speaking = BlipForConditionalGeneration.from_pretrained(trained / "blip")
            _save(speaking, made / "blip", BlipProcessor.from_pretrained(begun / "blip"))
        case "unet":
            _save(UNet2DConditionModel.from_pretrained(trained / "unet"), begun / "sd" / "unet")
        case "painter":
            with atomic.folder(made / "sd") as fresh:
                shutil.copytree(begun / "sd", fresh, dirs_exist_ok=True)
                _save(UNet2DConditionModel.from_pretrained(trained / "unet"), fresh / "unet")
                _save(CLIPTextModel.from_pretrained(trained / "text_encoder"), fresh / "text_encoder")


def text_encoder(model: CLIPModel) -> CLIPTextModel:
    """The text tower of a CLIP as a model of its own, as Stable Diffusion 1.5 ships it."""
    encoder = CLIPTextModel(model.config.text_config)
    encoder.load_state_dict(model.text_model.state_dict())
    return encoder.eval()


def measure(weights: Path, work: Path, *, scale: float, say: Callable[[str], None]) -> dict[str, Any]:
    """How good the models in `weights` are on pictures and prompts that none of them has trained on.

    The judge, which knows nothing but the generator's truth, is trained in `work` and put beside them where it is not.
    """
    if not (weights / "judge").is_dir():
        judge.save(judge.train(work / "judge", steps=max(2, round(judge.STEPS * scale)), say=say), weights / "judge")
    seer = judge.load(weights / "judge")
    coder = models.load_vae(str(weights / "sd"))
    scorer, seen = models.load_clip(str(weights / "clip"))
    captioner, spoken = models.load_blip(str(weights / "blip"))
    return {
        "vae_psnr_db": round(vae.psnr(coder), 2),
        "clip_retrieval_of_100": round(clip.retrieval(scorer, seen.tokenizer), 4),
        "blip_right": blip.accuracy(captioner, spoken.tokenizer),
        "judge_right": quality.judged(seer),
        "unet_right": quality.painted(weights / "sd", seer),
    }


def _save(model: Any, folder: Path, processor: Any | None = None) -> None:  # noqa: ANN401 (libraries without types)
    with atomic.folder(folder) as fresh:
        model.to(torch.float16).save_pretrained(fresh)
        if processor is not None:
            processor.save_pretrained(fresh)
        config = json.loads((fresh / "config.json").read_text(encoding="utf-8"))
        config.pop("_name_or_path", None)  # the folder that it was trained in is nobody else's concern
        if not hasattr(model, "load_config"):
            # transformers takes the number format from here, diffusers takes float32: in one pipeline they must agree
            config["dtype"] = "float32"
        write_bytes(fresh / "config.json", json.dumps(config, indent=1).encode())
