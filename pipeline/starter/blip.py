"""The starter's BLIP: a captioner of drawn pictures with the classes of Salesforce/blip-image-captioning-base."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import (
    BertTokenizer,
    BlipConfig,
    BlipForConditionalGeneration,
    BlipTextConfig,
    BlipVisionConfig,
    CLIPModel,
)

from pipeline.starter import pictures, wording
from pipeline.starter.drawing import Pixels
from pipeline.starter.fit import fit
from pipeline.starter.vae import to_model

POOL = 24_000
WIDTH = 128
BATCH = 100
"""Pictures that are captioned at a time."""


def build(tokenizer: BertTokenizer) -> BlipForConditionalGeneration:
    """A BLIP of 128 dimensions: four layers of vision over 8 px patches, three of text that look at them."""
    torch.manual_seed(2)
    shared = {"hidden_size": WIDTH, "intermediate_size": 4 * WIDTH, "num_attention_heads": 4, "num_hidden_layers": 3}
    text = BlipTextConfig(
        vocab_size=len(tokenizer),
        encoder_hidden_size=WIDTH,
        projection_dim=WIDTH,
        max_position_embeddings=64,
        bos_token_id=tokenizer.convert_tokens_to_ids("[DEC]"),
        eos_token_id=tokenizer.sep_token_id,
        sep_token_id=tokenizer.sep_token_id,
        pad_token_id=tokenizer.pad_token_id,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        **shared,
    )
    vision = BlipVisionConfig(
        image_size=64,
        patch_size=8,
        projection_dim=WIDTH,
        hidden_act="quick_gelu",
        initializer_range=0.02,  # the class's own 1e-10 is for weights that are loaded: from it nothing learns to see
        **{**shared, "num_hidden_layers": 4},
    )
    return BlipForConditionalGeneration(
        BlipConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=WIDTH)
    )


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


def train(
    tokenizer: BertTokenizer,
    work: Path,
    *,
    clip: CLIPModel,
    steps: int,
    batch: int = 64,
    say: Callable[[str], None],
) -> BlipForConditionalGeneration:
    """Train with the captioning loss on drawn pictures; the words' order is fixed, so that the loss rewards looking."""
    model = build(tokenizer)
    take_eyes(model, clip)
    drawn = [pictures.picture(seed, held_out=False) for seed in range(POOL)]
    pool = np.stack([one.pixels for one in drawn])
    start = model.config.text_config.bos_token_id
    captions = [wording.plain_caption(one.scene) for one in drawn]

    def loss(step: int) -> Tensor:
        chosen = np.random.default_rng([step, 3]).integers(0, POOL, batch)
        text = tokenizer([captions[index] for index in chosen], padding=True, return_tensors="pt")
        ids = text.input_ids.clone()
        ids[:, 0] = start
        labels = ids.masked_fill(text.attention_mask == 0, -100)
        made: Tensor = model(
            pixel_values=to_model(pool[chosen]), input_ids=ids, attention_mask=text.attention_mask, labels=labels
        ).loss
        return made

    fit(model, loss, steps=steps, learning_rate=1e-3, work=work, weight_decay=0.05, say=say)
    return model


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
