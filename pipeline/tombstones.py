"""What was taken out for good: hashes alone, by which it is known if it comes again.

A line of `<workspace>/tombstones.jsonl`:

    {"sample_id": "3a…", "pixel_id": "9f…", "look": 1234, "colours": 5678, "at": "2026-01-31T09:30:00+00:00"}

`look` and `colours` are the perceptual hash and mean colours, null where there are none. No name, no caption.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from pipeline import atomic

FILE = "tombstones.jsonl"


@dataclass(frozen=True)
class Tombstone:
    """One content that is not to come back."""

    sample_id: str
    pixel_id: str | None
    look: int | None
    colours: int | None
    at: str


@dataclass(frozen=True)
class Tombstones:
    """All of a workspace."""

    stones: tuple[Tombstone, ...] = ()

    @property
    def samples(self) -> frozenset[str]:
        """The bytes' hashes."""
        return _samples(self.stones)

    @property
    def pixels(self) -> frozenset[str]:
        """The pixels' hashes."""
        return frozenset(one.pixel_id for one in self.stones if one.pixel_id)

    @property
    def looks(self) -> list[tuple[int, int]]:
        """Perceptual hashes with their mean colours."""
        return [(one.look, one.colours or 0) for one in self.stones if one.look is not None]


def load(root: Path) -> Tombstones:
    """The tombstones of the workspace at `root`; none where nothing was ever forgotten."""
    try:
        status = (root / FILE).stat()
    except FileNotFoundError:
        return Tombstones()
    return _read(root / FILE, status.st_size, status.st_mtime_ns)


def add(root: Path, stones: Iterable[Tombstone]) -> None:
    """Set tombstones; one that is there already is not set again."""
    before = load(root)
    new = [one for one in stones if one.sample_id not in before.samples]
    if new:
        with atomic.file(root / FILE) as part:
            part.write_text("".join(json.dumps(asdict(one)) + "\n" for one in (*before.stones, *new)), "ascii")


@lru_cache(maxsize=8)
def _read(path: Path, size: int, mtime_ns: int) -> Tombstones:  # noqa: ARG001 (they tell one state of the file from another)
    return Tombstones(tuple(Tombstone(**json.loads(line)) for line in path.read_text("ascii").splitlines()))


@lru_cache(maxsize=8)
def _samples(stones: tuple[Tombstone, ...]) -> frozenset[str]:
    return frozenset(one.sample_id for one in stones)
