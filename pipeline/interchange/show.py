"""What a file of weights, or a base model's folder, says of itself; plain values, for JSON, and words."""

from collections import Counter
from pathlib import Path
from typing import Any

from pipeline import families, headers
from pipeline.errors import InputError, ModelError
from pipeline.interchange import layouts
from pipeline.original import kinds, parts


def value(path: Path) -> dict[str, Any]:
    """What a file or folder is, what is in it, and its header. Reads no weights.

    Raises:
        InputError: there is no such file or folder, or it is no whole safetensors file.
        ModelError: the folder is no base model.
    """
    if path.is_dir():
        return _folder(path)
    try:
        header = headers.read(path)
    except headers.HeaderError as error:
        raise InputError(
            str(error), field="FILE", value=str(path), remedy="Name a whole .safetensors file; pickles are not opened."
        ) from error
    return {
        "path": str(path),
        **_what(path, header),
        "tensors": len(header.tensors),
        "parameters": sum(one.size for one in header.tensors.values()),
        "formats": dict(Counter(one.dtype for one in header.tensors.values())),
        "header": dict(sorted(header.metadata.items())),
    }


def words(found: dict[str, Any]) -> str:
    """The same in lines."""
    lines = [f"{found['path']}: {found['what']}"]
    for name in ("layout", "kind", "predicts", "parts", "ranks", "alphas", "words", "tensors", "parameters", "formats"):
        if name in found:
            shown = found[name]
            if isinstance(shown, dict):
                shown = ", ".join(f"{key} ({count})" for key, count in shown.items())
            lines.append(f"  {name:<12}{shown:,}" if isinstance(shown, int) else f"  {name:<12}{shown}")
    if found["header"]:
        lines += ["", *(f"  {name} = {_short(one)}" for name, one in found["header"].items())]
    return "\n".join(lines)


def _what(path: Path, header: headers.Header) -> dict[str, Any]:
    names = list(header.tensors)
    if all(name.rpartition(".")[2] in ("weight", "alpha", "dora_scale", "lora_magnitude_vector") for name in names):
        try:
            roles = [(layouts.parsed(name), name) for name in names]
        except (InputError, ValueError):
            roles = []
        if roles:
            return _adapter(roles, header)
    short = {name: one.shape for name, one in header.tensors.items() if len(one.shape) in (1, 2)}
    if len(names) <= 2 and len(short) == len(names):
        placeholder = header.metadata.get("gesso_placeholder")
        told = {placeholder or name: shape[0] if len(shape) > 1 else 1 for name, shape in short.items()}
        return {"what": "a textual inversion", "words": told}
    try:
        found = kinds.look(path)
    except ModelError as error:
        return {"what": f"no base model and no adapter: {error.problem}"}
    return {"what": "a base model in one file", "kind": found.kind.title, "predicts": found.prediction or "not said"}


def _adapter(roles: list[tuple[tuple[str, str, str], str]], header: headers.Header) -> dict[str, Any]:
    downs = [(part, header.tensors[name].shape) for (part, _, role), name in roles if role == "down"]
    lengths = any(role in ("magnitude", "scale") for (_, _, role), _ in roles)
    convolved = any(len(shape) == 4 and shape[2] > 1 for _, shape in downs)
    flat = any(name.startswith(tuple(f"{start}_" for start in layouts.PARTS)) for _, name in roles)
    return {
        "what": f"a {'DoRA' if lengths else 'LoRA'}{' with convolutions' if convolved else ''}",
        "layout": "kohya" if flat else "diffusers",
        "parts": dict(Counter(part for part, _ in downs)),
        "ranks": dict(Counter(str(shape[0]) for _, shape in downs)),
    }


def _folder(path: Path) -> dict[str, Any]:
    if not (path / "model_index.json").is_file():
        raise InputError(
            "this folder is no base model",
            field="FILE",
            value=str(path),
            remedy="Name a .safetensors file, or a folder as diffusers saves it.",
        )
    family = families.of(path, field="FILE")
    counted: dict[str, int] = {}
    for part in parts.of(path):
        with parts.weights(path, part) as tensors:
            counted[part] = len(tensors)
    kind = kinds.of_unet(parts.config(path, "unet"))
    return {
        "path": str(path),
        "what": f"a base model as diffusers saves it, of {family.title}",
        "kind": kind.title,
        "parts": counted,
        "header": {},
    }


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 100 else f"{line[:97]}..."
