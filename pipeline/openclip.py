"""CLIPs as open_clip has them, and those of transformers translated: the same model in its names and configuration."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPConfig, CLIPModel, CLIPProcessor

from pipeline import atomic
from pipeline.errors import InputError, ModelError

CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
"""Names under which open_clip looks in a folder that is given to it as `local-dir:FOLDER`."""

TOWERS = {"text_model.": "", "vision_model.": "visual."}
NAMES = {
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "embeddings.class_embedding": "class_embedding",
    "embeddings.patch_embedding.weight": "conv1.weight",
    "pre_layrnorm": "ln_pre",
    "post_layernorm": "ln_post",
    "final_layer_norm": "ln_final",
    "encoder.layers": "transformer.resblocks",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "self_attn.out_proj": "attn.out_proj",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
"""What is called otherwise within a tower."""


def export(folder: Path, target: Path) -> None:
    """Write the CLIP in `folder` (as transformers saves it) to `target`, with its tokenizer, for open_clip.

    There `open_clip.create_model_and_transforms("local-dir:TARGET")` and `open_clip.get_tokenizer` open it.

    Raises:
        ModelError: the end of a text has not the highest id, or the towers' activations are not ones of open_clip.
        InputError: `target` is there and not empty.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError("it is there already", field="target", value=str(target), remedy="Name a new folder.")
    model = CLIPModel.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    processor = CLIPProcessor.from_pretrained(folder, local_files_only=True)
    told = {"model_cfg": model_config(model.config), "preprocess_cfg": _preprocess(processor.image_processor)}
    with atomic.folder(target) as fresh:
        processor.tokenizer.save_pretrained(fresh)
        save_file(weights(model.state_dict()), fresh / WEIGHTS, metadata={"format": "pt"})
        (fresh / CONFIG).write_text(json.dumps(told, indent=2), encoding="utf-8")


def load(folder: Path) -> tuple[Any, Callable[[Any], Tensor], Callable[[Sequence[str]], Tensor]]:
    """A CLIP as open_clip's model, in float32: it, what makes a picture of Pillow ready, and what makes texts tokens.

    It lies in `folder` in open_clip's layout, or in that of transformers, which goes first where there are both.

    Raises:
        ModelError: see `export`.
    """
    if not (folder / "config.json").exists():
        name = f"local-dir:{folder}"
        theirs, _, see = open_clip.create_model_and_transforms(name)
        return theirs.eval().requires_grad_(False), see, open_clip.get_tokenizer(name)  # noqa: FBT003 (torch's own)
    own = CLIPModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True, local_files_only=True)
    processor = CLIPProcessor.from_pretrained(folder, local_files_only=True)
    model = open_clip.CLIP(**model_config(own.config))
    model.load_state_dict(weights(own.state_dict()))
    see = image_transform_v2(PreprocessCfg(**_preprocess(processor.image_processor)), is_train=False)

    def read(texts: Sequence[str]) -> Tensor:
        tokens = processor.tokenizer(list(texts), padding="max_length", truncation=True, return_tensors="pt")
        ids: Tensor = tokens.input_ids
        return ids

    return model.eval().requires_grad_(False), see, read  # noqa: FBT003


def model_config(config: CLIPConfig) -> dict[str, Any]:
    """open_clip's `model_cfg` of a CLIP.

    Raises:
        ModelError: see `export`.
    """
    text, vision = config.text_config, config.vision_config
    acts = {text.hidden_act, vision.hidden_act}
    if acts not in ({"gelu"}, {"quick_gelu"}):
        raise ModelError(
            "open_clip has no such activation",
            field="hidden_act",
            value=sorted(acts),
            remedy="It has gelu, quick_gelu.",
        )
    if text.eos_token_id not in (text.vocab_size - 1, 2):  # 2 is what transformers wrote of OpenAI's models, wrongly
        raise ModelError(
            "open_clip pools a text where its id is highest, which here is not its end",
            field="eos_token_id",
            value=text.eos_token_id,
            remedy=f"Take a CLIP whose text ends with token {text.vocab_size - 1}.",
        )
    return {
        "embed_dim": config.projection_dim,
        "quick_gelu": acts == {"quick_gelu"},
        "vision_cfg": {
            "image_size": vision.image_size,
            "patch_size": vision.patch_size,
            "layers": vision.num_hidden_layers,
            "width": vision.hidden_size,
            "head_width": vision.hidden_size // vision.num_attention_heads,
            "mlp_ratio": vision.intermediate_size / vision.hidden_size,
            "norm_kwargs": {"eps": vision.layer_norm_eps},
        },
        "text_cfg": {
            "context_length": text.max_position_embeddings,
            "vocab_size": text.vocab_size,
            "width": text.hidden_size,
            "heads": text.num_attention_heads,
            "layers": text.num_hidden_layers,
            "mlp_ratio": text.intermediate_size / text.hidden_size,
            "norm_kwargs": {"eps": text.layer_norm_eps},
            "hf_tokenizer_name": "local",  # any name: open_clip reads the folder's own
        },
    }


def weights(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """open_clip's state of a CLIP from transformers' own."""
    found: dict[str, Tensor] = {"logit_scale": state["logit_scale"]}
    found["visual.proj"] = state["visual_projection.weight"].T.contiguous()
    found["text_projection"] = state["text_projection.weight"].T.contiguous()
    for tower, theirs in TOWERS.items():
        inside = {name.removeprefix(tower): value for name, value in state.items() if name.startswith(tower)}
        for name, value in inside.items():
            if match := re.fullmatch(r"(.*)self_attn\.q_proj\.(weight|bias)", name):
                parts = [inside[f"{match[1]}self_attn.{one}_proj.{match[2]}"] for one in "qkv"]
                found[theirs + renamed(f"{match[1]}attn.in_proj_{match[2]}")] = torch.cat(parts)
            elif not re.search(r"self_attn\.[kv]_proj|position_ids", name):
                found[theirs + renamed(name)] = value.contiguous()
    return found


def renamed(name: str) -> str:
    """A name within a tower as open_clip has it."""
    for ours, theirs in NAMES.items():
        name = name.replace(ours, theirs)
    return name


def _preprocess(processor: Any) -> dict[str, Any]:  # noqa: ANN401 (transformers has no types)
    return {
        "size": [processor.crop_size["height"], processor.crop_size["width"]],
        "mode": "RGB",
        "mean": list(processor.image_mean),
        "std": list(processor.image_std),
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
