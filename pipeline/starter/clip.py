"""The starter's CLIP: its text encoder conditions the UNet, as in Stable Diffusion 1.5; whole, it scores pictures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPTokenizer, CLIPVisionConfig

from pipeline.starter import pictures, wording
from pipeline.starter.fit import fit
from pipeline.starter.vae import to_model

POOL = 24_000
WIDTH = 128


def build(tokenizer: CLIPTokenizer) -> CLIPModel:
    """A CLIP of 128 dimensions: three layers of text, four of vision over 8 px patches of 64 px pictures."""
    torch.manual_seed(1)
    shared = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_attention_heads": 4}
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        num_hidden_layers=3,
        max_position_embeddings=77,
        projection_dim=WIDTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **shared,
    )
    vision = CLIPVisionConfig(image_size=64, patch_size=8, num_hidden_layers=4, projection_dim=WIDTH, **shared)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=WIDTH)
    return CLIPModel(config)


def train(
    tokenizer: CLIPTokenizer, work: Path, *, steps: int, batch: int = 128, say: Callable[[str], None]
) -> CLIPModel:
    """Train with CLIP's symmetric contrastive loss (Radford et al. 2021) on drawn pictures and their captions."""
    model = build(tokenizer)
    drawn = [pictures.picture(seed, held_out=False) for seed in range(POOL)]
    pool = np.stack([one.pixels for one in drawn])
    captions = [wording.with_strange_prefix(one.caption, seed) for seed, one in enumerate(drawn)]

    def loss(step: int) -> Tensor:
        chosen = np.random.default_rng([step, 2]).integers(0, POOL, batch)
        text = tokenizer([captions[index] for index in chosen], padding=True, return_tensors="pt")
        logits = model(pixel_values=to_model(pool[chosen]), **text).logits_per_text.float()
        truth = torch.arange(batch)
        return (functional.cross_entropy(logits, truth) + functional.cross_entropy(logits.T, truth)) / 2

    fit(model, loss, steps=steps, learning_rate=1e-3, work=work, weight_decay=0.05, say=say)
    return model


@torch.no_grad()
def retrieval(model: CLIPModel, tokenizer: CLIPTokenizer, *, count: int = 100) -> float:
    """Share of held-out captions whose own picture scores highest among `count` held-out pictures."""
    drawn = [pictures.picture(20_000_000 + seed, held_out=True) for seed in range(count)]
    text = tokenizer([one.caption for one in drawn], padding=True, return_tensors="pt")
    logits = model(pixel_values=to_model(np.stack([one.pixels for one in drawn])), **text).logits_per_text
    return float((logits.argmax(dim=1) == torch.arange(count)).float().mean())
