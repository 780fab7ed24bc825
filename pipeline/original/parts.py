"""The parts of a base model's folder: their configurations, and their weights by published names."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from pipeline import families, model_files

WEIGHTS = {"unet": "diffusion_pytorch_model.safetensors", "vae": "diffusion_pytorch_model.safetensors"}
"""Names of weights by part; text encoders have transformers'."""
TEXT_WEIGHTS = "model.safetensors"
TEXT_MODEL, PROJECTION = "text_model.", "text_projection."
"""What names of a text encoder's parameters begin with in published files."""
NO_WEIGHTS = "position_ids"
"""How names end of tensors that count places, which older files have and newer ones do not."""
ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
"""Names in a VAE's attention of diffusers before 0.18, as in the files of Stable Diffusion 1 and 2, and those since."""


def published(name: str, part: str) -> str:
    """A parameter's one name, whichever version of a library wrote it.

    transformers 5 leaves out `text_model` around a lone encoder, and a VAE's attention was called otherwise once.
    """
    if part == "vae" and ".attentions." in name:
        layer, leaf = name.rsplit(".", 1)
        above, _, last = layer.rpartition(".")
        return f"{above}.{ATTENTION.get(last, last)}.{leaf}"
    inside = part.startswith("text_encoder") and not name.startswith((TEXT_MODEL, PROJECTION))
    return f"{TEXT_MODEL}{name}" if inside else name


def of(folder: Path) -> tuple[str, ...]:
    """The parts that hold weights."""
    return ("unet", "vae", *families.of(folder).text_encoders)


def config(folder: Path, part: str) -> dict[str, Any]:
    """A part's configuration."""
    return dict(json.loads((folder / part / "config.json").read_text(encoding="utf-8")))


def noise(folder: Path) -> dict[str, Any]:
    """The configuration of its noise schedule."""
    return dict(json.loads((folder / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8")))


class Tensors(Mapping[str, Tensor]):
    """Tensors of one or several files by name, each read when it is asked for."""

    def __init__(self, places: Mapping[str, tuple[Any, str]], header: Mapping[str, str] | None = None) -> None:
        self._places = places
        self.header = dict(header or {})
        """What the first file says of itself."""

    def __getitem__(self, name: str) -> Tensor:
        file, stored = self._places[name]
        found: Tensor = file.get_tensor(stored)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


@contextmanager
def opened(*paths: Path) -> Iterator[Tensors]:
    """The tensors of files for the length of a with-block."""
    with ExitStack() as stack:
        files = [stack.enter_context(safe_open(path, "pt")) for path in paths]
        told = files[0].metadata() if files else None
        yield Tensors({name: (file, name) for file in files for name in file.keys()}, told)  # noqa: SIM118 - no mapping


@contextmanager
def weights(folder: Path, part: str) -> Iterator[Tensors]:
    """A part's tensors, also where they are spread over several files."""
    wanted = [
        path
        for path in sorted((folder / part).glob("*.safetensors"))
        if not any(path.match(one) for one in model_files.UNWANTED)
    ]
    with ExitStack() as stack:
        files = [stack.enter_context(safe_open(path, "pt")) for path in wanted]
        names = [(file, name) for file in files for name in file.keys() if not name.endswith(NO_WEIGHTS)]  # noqa: SIM118
        yield Tensors({published(name, part): (file, name) for file, name in names})


def write(folder: Path, part: str, tensors: Mapping[str, Tensor], header: Mapping[str, str] | None = None) -> None:
    """Write a part's weights into a folder that is being made."""
    (folder / part).mkdir(parents=True, exist_ok=True)
    save_file(
        dict(tensors), folder / part / WEIGHTS.get(part, TEXT_WEIGHTS), metadata={"format": "pt", **(header or {})}
    )
