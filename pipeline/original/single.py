"""A single file as base model: where its folder lies, which is made once. Loads no torch where it is there already."""

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from pipeline import families, model_files
from pipeline.errors import ModelError
from pipeline.original import kinds
from pipeline.original.kinds import Kind

VERSION = 1
"""Raised when the same file makes another folder."""


@dataclass(frozen=True)
class Wanted:
    """What a folder is made of: the file, what it is, and the configurations of its parts."""

    path: Path
    kind: Kind
    prediction: str
    zero_terminal_snr: bool
    configs: dict[str, dict[str, Any]]
    """By part: unet, vae, scheduler, text encoders."""
    like: Path | None
    """The folder that they and the tokenizers come from; None for what was published."""


def wanted(reference: str, *, prediction: str | None = None, config: str | None = None) -> Wanted:
    """What a single file is to be unpacked as.

    `prediction` goes before what the file says; `config` is a folder in diffusers' layout whose configurations and
    tokenizers are taken instead of the published ones (or `starter`).

    Raises:
        ModelError: it is no whole base model, nothing says what its UNet predicts, or `config` is no such folder.
    """
    path = Path(reference).expanduser().resolve()
    found = kinds.look(path)
    like = None if config is None else _like(config, found.kind)
    if like is None:
        configs, default = found.kind.published, found.prediction
    else:
        parts = ("unet", "vae", *found.kind.texts)
        configs = {part: json.loads((like / part / "config.json").read_text(encoding="utf-8")) for part in parts}
        told = json.loads((like / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
        configs["scheduler"] = told
        guessed = found.prediction == found.kind.guess
        default = told.get("prediction_type", "epsilon") if guessed else found.prediction
    chosen = prediction or default
    if chosen is None:
        raise ModelError(
            f"nothing says what this model ({found.kind.title}) predicts",
            field="base_model.prediction",
            remedy="Set it: v_prediction for 2.0 and 2.1 at 768 pixels, epsilon for 2.0-base and 2.1-base; or put the "
            f"model's configuration beside it as {path.stem}.yaml.",
        )
    if like is None and found.kind is kinds.SD2 and chosen == "v_prediction":
        configs = {**configs, "unet": {**configs["unet"], "sample_size": 96}}  # those models were made for 768 pixels
    return Wanted(path, found.kind, chosen, found.zero_terminal_snr, configs, like)


def place(want: Wanted, parent: Path) -> Path:
    """The folder in `parent` that is named by all that decides it."""
    decided: list[Any] = [VERSION, model_files.file_hash(want.path), want.kind.name, want.prediction]
    decided += [want.zero_terminal_snr, want.configs]
    if want.like is not None:
        words = [
            path for part in want.kind.texts for path in sorted((want.like / families.tokenizer_of(part)).iterdir())
        ]
        decided += [[path.name, model_files.file_hash(path)] for path in words if path.is_file()]
    return parent / sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()[:24]


def ensure(reference: str, parent: Path, *, prediction: str | None = None, config: str | None = None) -> Path:
    """The folder of a single file below `parent`, made where it is not there.

    Raises:
        ModelError: see `wanted`, and where tensors are missing or of another shape than the architecture's.
    """
    want = wanted(reference, prediction=prediction, config=config)
    folder = place(want, parent)
    if not folder.is_dir():
        from pipeline.original import unpack  # imports torch

        unpack.write(want, folder)
    return folder


def _like(config: str, kind: Kind) -> Path:
    folder = model_files.STARTER / "sd" if config == "starter" else Path(config).expanduser().resolve()
    needed = [f"{part}/config.json" for part in ("unet", "vae", *kind.texts)]
    needed += ["scheduler/scheduler_config.json", *map(families.tokenizer_of, kind.texts)]
    lacking = [name for name in ("model_index.json", *needed) if not (folder / name).exists()]
    if lacking or families.of(folder, field="base_model.config") is not kind.family:
        what = f"the folder has no {lacking[0]}" if lacking else f"the folder is not of {kind.title}"
        raise ModelError(
            what,
            field="base_model.config",
            value=config,
            remedy="Name a folder of diffusers with the configurations of the same architecture, or leave it out.",
        )
    return folder
