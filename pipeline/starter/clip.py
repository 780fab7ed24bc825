"""The starter's CLIP: what it begins with, and how well it finds drawn pictures that it has never seen."""

import numpy as np
import torch
from transformers import CLIPModel, CLIPTokenizer

from pipeline.starter import pictures
from pipeline.starter.vae import to_model

PLACE_SPREAD = 0.25
"""Size of what tells a patch's place when the training begins, about that of what tells its colours."""


@torch.no_grad()
def know_places(model: CLIPModel) -> None:
    """Give the patches' places to begin with as sines of both axes (Beyer et al. 2022, arXiv 2205.01580, section 2).

    Drawn at random, as CLIP's own, they are learned so late that a short training never tells left from right.
    """
    table = model.vision_model.embeddings.position_embedding.weight
    config = model.config.vision_config
    side, width = config.image_size // config.patch_size, table.shape[1]
    frequencies = 10_000.0 ** -torch.linspace(0, 1, width // 4)
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    angles = [axis.flatten()[:, None] * frequencies for axis in (columns, rows)]
    table[1:] = PLACE_SPREAD * torch.cat([wave(angle) for angle in angles for wave in (torch.sin, torch.cos)], dim=1)


@torch.no_grad()
def retrieval(model: CLIPModel, tokenizer: CLIPTokenizer, *, count: int = 100) -> float:
    """Share of held-out captions whose own picture scores highest among `count` held-out pictures."""
    drawn = [pictures.picture(20_000_000 + seed, held_out=True) for seed in range(count)]
    text = tokenizer([one.caption for one in drawn], padding=True, return_tensors="pt")
    logits = model(pixel_values=to_model(np.stack([one.pixels for one in drawn])), **text).logits_per_text
    return float((logits.argmax(dim=1) == torch.arange(count)).float().mean())
