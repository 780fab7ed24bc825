"""The process that captions with LAVIS: requests come in on standard input, answers go out, a JSON object a line.

It runs in LAVIS's environment, alone: `python -I worker.py`. docs/lavis.md tells of the lines. Whatever libraries
print goes to standard error.
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO

PROTOCOL = 1
"""Raised when the lines change."""


class Captioner:
    """A model of LAVIS's with the processor that its pictures go through."""

    def __init__(self, model: Any, look: Any, *, device: str) -> None:  # noqa: ANN401 (LAVIS has no types)
        self.model, self.look, self.device = model.to(device).eval(), look, device

    def caption(
        self,
        pictures: Sequence[str],
        *,
        seed: int,
        top_p: float | None,
        candidates: int,
        **how: Any,  # noqa: ANN401
    ) -> list[list[str]]:
        """Sentences about each picture, a path of an .npy of height x width x 3 bytes: one, or `candidates` drawn ones.

        Drawn words (`top_p`) hang on the seed and the picture alone, so those are drawn one picture at a time.
        """
        import numpy as np
        import torch
        from PIL import Image

        prompt = how.pop("prompt")
        asked: dict[str, Any] = {}
        if prompt is not None and hasattr(self.model, "prompt_length"):  # BLIP: its tokenizer's begin counts, too
            self.model.prompt = prompt
            self.model.prompt_length = len(self.model.tokenizer(prompt).input_ids) - 1
        elif prompt is not None:
            asked["prompt"] = prompt
        if top_p is not None:
            how |= {"use_nucleus_sampling": True, "top_p": top_p, "num_captions": candidates}
        said: list[str] = []
        seen = [self.look(Image.fromarray(np.load(path))) for path in pictures]
        for part in [seen] if top_p is None else [[one] for one in seen]:
            torch.manual_seed(seed)
            with torch.inference_mode():
                said += self.model.generate({"image": torch.stack(part).to(self.device), **asked}, **how)
        said = [" ".join(text.split()) for text in said]
        each = len(said) // max(1, len(pictures))
        return [said[place : place + each] for place in range(0, len(said), each or 1)]


def load(
    *, device: str, model: str | None = None, model_type: str | None = None, folder: str | None = None
) -> Captioner:
    """A captioner by LAVIS's own names, or from a folder of a BLIP as transformers saves it."""
    import torch
    from lavis.models import load_model_and_preprocess

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if folder is not None:
        return Captioner(*converted(Path(folder)), device=device)
    loaded, looks, _ = load_model_and_preprocess(model, model_type, is_eval=True, device=device)
    return Captioner(loaded, looks["eval"], device=device)


def converted(folder: Path) -> tuple[Any, Any]:
    """LAVIS's captioner with the weights of a folder in transformers' layout, and its processor."""
    from lavis.models import BlipCaption, VisionTransformerEncoder, XBertLMHeadDecoder
    from lavis.models.med import BertConfig
    from lavis.processors.blip_processors import BlipImageEvalProcessor
    from safetensors.torch import load_file
    from torch import nn
    from transformers.activations import ACT2FN

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    sees, says = config["vision_config"], config["text_config"]
    eyes = VisionTransformerEncoder(
        img_size=sees["image_size"],
        patch_size=sees["patch_size"],
        embed_dim=sees["hidden_size"],
        depth=sees["num_hidden_layers"],
        num_heads=sees["num_attention_heads"],
        mlp_ratio=sees["intermediate_size"] / sees["hidden_size"],
        norm_layer=partial(nn.LayerNorm, eps=sees["layer_norm_eps"]),
    )
    for block in eyes.blocks:
        block.mlp.act = ACT2FN[sees["hidden_act"]]
    voice = XBertLMHeadDecoder(
        BertConfig(**says, encoder_width=sees["hidden_size"], add_cross_attention=True, add_type_embeddings=False)
    )
    write_vocabulary(folder, Path("bert-base-uncased"), says["max_position_embeddings"])
    model = BlipCaption(eyes, voice, prompt="")
    weights = dict(renamed(load_file(folder / "model.safetensors")))
    missing, unknown = model.load_state_dict(weights, strict=False)
    missing = [name for name in missing if not name.endswith("position_ids")]
    if missing or unknown:
        raise ValueError(f"its weights do not fit LAVIS's BLIP: {len(missing)} missing, {len(unknown)} unknown")
    return model, BlipImageEvalProcessor(sees["image_size"], **normalisation(folder))


def renamed(weights: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The same tensors under LAVIS's names."""
    top = {
        "embeddings.class_embedding": "cls_token",
        "embeddings.position_embedding": "pos_embed",
        "embeddings.patch_embedding.": "patch_embed.proj.",
        "post_layernorm.": "norm.",
        "encoder.layers.": "blocks.",
    }
    within = {".self_attn.projection.": ".attn.proj.", ".self_attn.": ".attn.", ".layer_norm": ".norm"}
    for name, value in weights.items():
        if name.startswith("vision_model."):
            new = name.removeprefix("vision_model.")
            for theirs, own in [*top.items(), *within.items()]:
                new = new.replace(theirs, own)
            yield f"visual_encoder.{new}", value
        elif name.startswith("text_decoder."):
            yield name, value
    words = weights["text_decoder.bert.embeddings.word_embeddings.weight"]
    # tied in transformers, and so saved once
    yield (
        "text_decoder.cls.predictions.decoder.weight",
        weights.get("text_decoder.cls.predictions.decoder.weight", words),
    )
    yield "text_decoder.cls.predictions.decoder.bias", weights["text_decoder.cls.predictions.bias"]


def write_vocabulary(folder: Path, to: Path, length: int) -> None:
    """Write the tokenizer's words as the folder that LAVIS looks for in the working directory before it asks a hub."""
    to.mkdir(exist_ok=True)
    listed = folder / "vocab.txt"
    if listed.is_file():
        words = listed.read_text(encoding="utf-8").splitlines()
    else:
        told = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        places = told["model"]["vocab"] | {one["content"]: one["id"] for one in told["added_tokens"]}
        words = sorted(places, key=places.__getitem__)
    (to / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    settings = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": length}
    (to / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")


def normalisation(folder: Path) -> dict[str, Any]:
    """Mean and spread that its pictures are brought to; LAVIS's own where the folder names none."""
    for name in ("processor_config.json", "preprocessor_config.json"):
        if (folder / name).is_file():
            told = json.loads((folder / name).read_text(encoding="utf-8"))
            told = told.get("image_processor", told)
            if "image_mean" in told:
                return {"mean": told["image_mean"], "std": told["image_std"]}
    return {}


def serve(requests: TextIO, answers: TextIO) -> None:
    """Answer each request in its turn, until there are no more."""
    captioner = None
    for line in requests:
        request = json.loads(line)
        name, do = request.pop("id"), request.pop("do")
        try:
            if do == "load":
                captioner = None  # the one before makes room
                captioner = load(**request)
                answer: dict[str, Any] = {"device": captioner.device}
            elif do == "caption" and captioner is not None:
                answer = {"captions": captioner.caption(**request)}
            else:
                raise ValueError(f"cannot {do}" if captioner else f"cannot {do} before a load")
        except Exception as error:  # whatever LAVIS raises is said, and the next request answered
            told = str(error).strip().partition("\n")[0]
            answer = {"error": f"{type(error).__name__}: {told}" if told else type(error).__name__}
        tell(answers, {"id": name, **answer})


def tell(answers: TextIO, answer: dict[str, Any]) -> None:
    """Send one line."""
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def own_output() -> TextIO:
    """Standard output for the answers alone: whatever else is written to it goes to standard error from now on."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def main() -> None:
    """Import LAVIS, say so, and serve."""
    answers = own_output()
    from importlib.metadata import version

    import lavis.models  # noqa: F401 (so that what fails, fails now)

    tell(answers, {"ready": PROTOCOL, "lavis": version("salesforce-lavis"), "torch": version("torch")})
    serve(sys.stdin, answers)


if __name__ == "__main__":
    main()
