import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import (
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTextConfig,
    CLIPTokenizer,
    CLIPVisionConfig,
)

from pipeline import models

COLORS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220)}


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def plain():
    def build(color, height=20, width=16):
        return np.full((height, width, 3), COLORS[color], np.uint8)

    return build


@pytest.fixture(scope="session")
def clip(tmp_path_factory, plain):
    """A CLIP that has learned three colours, in a folder like a real one."""
    torch.manual_seed(0)
    words = ["<|startoftext|>", "<|endoftext|>", *"redgnblu", *(f"{one}</w>" for one in "dne"), *COLORS]
    merges = []
    for color in COLORS:
        left = color[0]
        for letter in color[1:-1]:
            merges.append((left, letter))
            left += letter
        merges.append((left, f"{color[-1]}</w>"))
    words += ["".join(one) for one in merges]
    vocab = {word: place for place, word in enumerate(dict.fromkeys(words))}
    tokenizer = CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=77)
    shared = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = CLIPTextConfig(vocab_size=len(vocab), bos_token_id=0, eos_token_id=1, projection_dim=8, **shared)
    vision = CLIPVisionConfig(image_size=16, patch_size=8, projection_dim=8, **shared)
    model = CLIPModel(CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=8))
    size = {"height": 16, "width": 16}
    processor = CLIPProcessor(CLIPImageProcessor(size=size, crop_size=size), tokenizer)

    inputs = processor(images=[plain(one) for one in COLORS], text=list(COLORS), padding=True, return_tensors="pt")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        logits = model(**inputs).logits_per_text
        functional.cross_entropy(logits, torch.arange(len(COLORS))).backward()
        optimizer.step()
    folder = tmp_path_factory.mktemp("clip")
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    models.release()
    return str(folder)
