"""The starter's BLIP: what it begins with, and how well it captions drawn pictures that it has never seen."""

from collections.abc import Sequence

import numpy as np
import torch
from transformers import BertTokenizer, BlipForConditionalGeneration, CLIPModel

from pipeline.starter import pictures, wording
from pipeline.starter.drawing import Pixels
from pipeline.starter.vae import to_model

BATCH = 100
"""Pictures that are captioned at a time."""


@torch.no_grad()
def take_eyes(model: BlipForConditionalGeneration, clip: CLIPModel) -> None:
    """Begin with the vision of a CLIP of the same widths, as the real BLIP began with that of an ImageNet ViT.

    CLIP's first norm, which BLIP has not, goes into the embeddings, whose spread is taken from drawn pictures.
    """
    theirs, own = clip.vision_model.state_dict(), dict(model.vision_model.named_parameters())
    pixels = to_model(np.stack([pictures.picture(seed, held_out=False).pixels for seed in range(64)]))
    scale = theirs["pre_layrnorm.weight"] / clip.vision_model.embeddings(pixels).std()
    own["embeddings.class_embedding"].copy_(theirs["embeddings.class_embedding"] * scale)
    own["embeddings.position_embedding"].copy_(
        theirs["embeddings.position_embedding.weight"] * scale + theirs["pre_layrnorm.bias"]
    )
    own["embeddings.patch_embedding.weight"].copy_(
        theirs["embeddings.patch_embedding.weight"] * scale[:, None, None, None]
    )
    for name, value in own.items():
        for kind in ("weight", "bias"):
            if name.endswith(f"qkv.{kind}"):
                parts = [theirs[name.replace("qkv", f"{one}_proj")] for one in "qkv"]
                value.copy_(torch.cat(parts))
        twin = name.replace("projection", "out_proj")
        if twin in theirs and not name.startswith("embeddings"):
            value.copy_(theirs[twin])


@torch.no_grad()
def accuracy(model: BlipForConditionalGeneration, tokenizer: BertTokenizer, *, count: int = 200) -> dict[str, float]:
    """Share of held-out pictures whose caption is right, `count` of one thing and `count` of two.

    Of one thing: `shape`, `color`, `size`, `place`, `background`, and `all` of them; of two: `two_things`, both with
    their colours and in their order, and `relation`.
    """
    singles = [pictures.picture(30_000_000 + seed, held_out=True, things=1) for seed in range(count)]
    pairs = [pictures.picture(31_000_000 + seed, held_out=True, things=2) for seed in range(count)]
    told = [wording.read(text) for text in say(model, tokenizer, [one.pixels for one in (*singles, *pairs)])]
    alone = [
        {
            "shape": [thing.shape for thing in said.things] == [one.scene.thing.shape],
            "color": [thing.color for thing in said.things] == [one.scene.thing.color],
            "size": said.size == one.scene.size,
            "place": said.place == one.scene.place,
            "background": said.background == one.scene.background,
        }
        for one, said in zip(singles, told, strict=False)
    ]
    both = [
        {"two_things": said.things == one.scene.things, "relation": said.relation == one.scene.relation}
        for one, said in zip(pairs, told[count:], strict=True)
    ]
    return {
        **{name: float(np.mean([one[name] for one in alone])) for name in alone[0]},
        "all": float(np.mean([all(one.values()) for one in alone])),
        **{name: float(np.mean([one[name] for one in both])) for name in both[0]},
    }


@torch.no_grad()
def say(model: BlipForConditionalGeneration, tokenizer: BertTokenizer, shown: Sequence[Pixels]) -> list[str]:
    """The caption of each picture of 64 x 64 px."""
    said: list[str] = []
    for start in range(0, len(shown), BATCH):
        pixels = to_model(np.stack(list(shown[start : start + BATCH])))
        said += tokenizer.batch_decode(model.generate(pixel_values=pixels, max_new_tokens=40), skip_special_tokens=True)
    return said
