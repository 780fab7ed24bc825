"""How well the starter's CLIP finds drawn pictures that it has never seen."""

import numpy as np
import torch
from transformers import CLIPModel, CLIPTokenizer

from pipeline.starter import pictures
from pipeline.starter.vae import to_model


@torch.no_grad()
def retrieval(model: CLIPModel, tokenizer: CLIPTokenizer, *, count: int = 100) -> float:
    """Share of held-out captions whose own picture scores highest among `count` held-out pictures."""
    drawn = [pictures.picture(20_000_000 + seed, held_out=True) for seed in range(count)]
    text = tokenizer([one.caption for one in drawn], padding=True, return_tensors="pt")
    logits = model(pixel_values=to_model(np.stack([one.pixels for one in drawn])), **text).logits_per_text
    return float((logits.argmax(dim=1) == torch.arange(count)).float().mean())
