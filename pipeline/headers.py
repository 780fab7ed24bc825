"""Headers of safetensors files, read without loading a weight: what is in a file, and what is wrong with it.

A file is 8 bytes that say how long the header is (little endian), the header as JSON, and the tensors' bytes to the end
(https://github.com/huggingface/safetensors, Format).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

LONGEST = 100_000_000
"""Bytes of the longest header that the format allows."""
DISGUISES = {
    b"PK\x03\x04": "it is a pickle under another name, which can run code when it is opened",
    b"\x80": "it is a pickle under another name, which can run code when it is opened",
    b"version https://git-lfs": "it is a pointer of Git LFS, not the file itself",
    b"<": "it is a web page, not weights",
    b"GGUF": "it is a GGUF file",
}
"""What a file begins with that is something else; torch's pickles are zip archives, older ones begin with 0x80."""


class HeaderError(ValueError):
    """A file is no whole safetensors file; the message is the end of a sentence about it."""


@dataclass(frozen=True)
class Entry:
    """One tensor in a file: its number format as safetensors calls it (F32, BF16, ...), and its shape."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return prod(self.shape)


@dataclass(frozen=True)
class Header:
    """Tensors by name, and what the file says of itself."""

    tensors: Mapping[str, Entry]
    metadata: Mapping[str, str]


def read(path: Path) -> Header:
    """The header of a file, which is as long as it says.

    Raises:
        HeaderError: it is something else, damaged, or cut off.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            begin = file.read(64)
            length = int.from_bytes(begin[:8], "little")
            if begin[8:9] != b"{" or length > LONGEST:
                disguise = next((what for start, what in DISGUISES.items() if begin.startswith(start)), None)
                raise HeaderError(disguise or ("it is empty" if not begin else "it is no safetensors file"))
            file.seek(8)
            text = file.read(length)
    except OSError as error:
        raise HeaderError(f"it cannot be read ({error.strerror})") from error
    if len(text) < length:
        raise HeaderError(f"it is cut off: {size} bytes are not even its header")
    try:
        told: dict[str, Any] = json.loads(text)
        metadata = {str(name): str(value) for name, value in told.pop("__metadata__", {}).items()}
        tensors = {name: Entry(one["dtype"], tuple(one["shape"])) for name, one in told.items()}
        end = max((int(one["data_offsets"][1]) for one in told.values()), default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise HeaderError("its header is damaged") from error
    if size != 8 + length + end:
        what = "it is cut off" if size < 8 + length + end else "it is longer than it says"
        raise HeaderError(f"{what}: {size} bytes of {8 + length + end}")
    return Header(tensors, metadata)


def problem(path: Path) -> str | None:
    """What keeps a file from being whole safetensors, if anything does."""
    try:
        read(path)
    except HeaderError as error:
        return str(error)
    return None
