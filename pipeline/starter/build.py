"""Builds the starter models from nothing but seeds: `gesso starter build`.

The order is that of Stable Diffusion: a VAE, a CLIP whose text encoder conditions, then a UNet over the VAE's latents;
beside them a BLIP that captions. Every part resumes where it was stopped.
"""

import json
import platform
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline
from transformers import (
    BertTokenizer,
    BlipForConditionalGeneration,
    BlipImageProcessor,
    CLIPImageProcessor,
    CLIPModel,
    CLIPTextModel,
    CLIPTokenizer,
)

from pipeline.starter import blip, clip, judge, quality, scene, unet, vae, wording
from pipeline.starter.tokenizers import blip_tokenizer, clip_tokenizer
from pipeline.workspace import write_bytes

STEPS = {"vae": 2400, "clip": 1000, "blip": 3000, "unet": 2400, "judge": judge.STEPS}
CAPTIONS = 5_000


def build(folder: Path, *, scale: float = 1.0, say: Callable[[str], None]) -> str:
    """Train all parts in `folder/work`, write the models to `folder/weights`, measure them, and write their card."""
    work, weights = folder / "work", folder / "weights"
    steps = {name: max(2, round(count * scale)) for name, count in STEPS.items()}
    seconds: dict[str, float] = {}
    captions = [wording.caption(scene.scene(seed, held_out=False), seed=seed) for seed in range(CAPTIONS)]
    words = clip_tokenizer(captions, work / "clip_tokenizer")
    letters = blip_tokenizer(captions, work / "blip_tokenizer")

    def timed(name: str, train: Callable[[], Any]) -> Any:  # noqa: ANN401 (whichever model it is)
        began = time.monotonic()
        model = train()
        seconds[name] = round(time.monotonic() - began, 1)
        say(f"{name}: done in {seconds[name] / 60:.1f} min")
        return model.eval()

    coder = timed("vae", lambda: vae.train(work / "vae", steps=steps["vae"], say=say))
    scorer = timed("clip", lambda: clip.train(words, work / "clip", steps=steps["clip"], say=say))
    captioner = timed("blip", lambda: blip.train(letters, work / "blip", clip=scorer, steps=steps["blip"], say=say))
    encoder = text_encoder(scorer)
    data = unet.examples(coder, encoder, words)
    painter = timed("unet", lambda: unet.train(data, work / "unet", steps=steps["unet"], say=say))
    assemble(weights, coder, scorer, captioner, painter, words, letters)
    seer = timed("judge", lambda: judge.train(work / "judge", steps=steps["judge"], say=say))
    measured = {
        "vae_psnr_db": round(vae.psnr(coder), 2),
        "clip_retrieval_of_100": clip.retrieval(scorer, words),
        "blip_right": blip.accuracy(captioner, letters),
        "judge_right": quality.judged(seer),
        "unet_right": quality.painted(weights / "sd", seer),
    }
    record = {"steps": steps, "seconds": seconds, "machine": platform.machine(), "measured": measured}
    write_bytes(weights / "record.json", json.dumps(record, indent=1).encode())
    return json.dumps(record, indent=1)


def text_encoder(model: CLIPModel) -> CLIPTextModel:
    """The text tower of a CLIP as a model of its own, as Stable Diffusion 1.5 ships it."""
    encoder = CLIPTextModel(model.config.text_config)
    encoder.load_state_dict(model.text_model.state_dict())
    return encoder.eval()


def assemble(
    weights: Path,
    coder: Any,  # noqa: ANN401 (diffusers has no types)
    scorer: CLIPModel,
    captioner: BlipForConditionalGeneration,
    painter: Any,  # noqa: ANN401
    words: CLIPTokenizer,
    letters: BertTokenizer,
) -> None:
    """Write the models as `sd` (a StableDiffusionPipeline), `clip` and `blip`, in float16 safetensors.

    Their configurations ask for float32, which is what a CPU computes in.
    """
    shutil.rmtree(weights, ignore_errors=True)
    scheduler = DPMSolverMultistepScheduler.from_config(unet.scheduler().config)
    pipe = StableDiffusionPipeline(
        vae=coder,
        text_encoder=text_encoder(scorer),
        tokenizer=words,
        unet=painter,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.to(torch.float16).save_pretrained(weights / "sd", safe_serialization=True)
    sides = {"size": {"height": 64, "width": 64}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    crop = {"size": {"shortest_edge": 64}, "crop_size": {"height": 64, "width": 64}}
    scorer.half().save_pretrained(weights / "clip")
    words.save_pretrained(weights / "clip")
    CLIPImageProcessor(**{**sides, **crop}).save_pretrained(weights / "clip")
    captioner.half().save_pretrained(weights / "blip")
    letters.save_pretrained(weights / "blip")
    BlipImageProcessor(**sides).save_pretrained(weights / "blip")
    for name in ("sd/text_encoder", "clip", "blip"):
        # transformers takes the number format from here, diffusers takes float32: in one pipeline they have to agree
        path = weights / name / "config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        write_bytes(path, json.dumps({**config, "dtype": "float32"}, indent=1).encode())
    for model in (scorer, captioner, *pipe.components.values()):
        if isinstance(model, torch.nn.Module):
            model.float()
