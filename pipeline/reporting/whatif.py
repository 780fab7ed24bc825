"""The page of what other limits would gain and lose: one HTML file that opens offline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import atomic
from pipeline.reporting.galleries import Gallery, Tile
from pipeline.reporting.pictures import Album
from pipeline.reporting.report import environment, page_sources


@dataclass(frozen=True, slots=True)
class Moved:
    """A file that would stay or leave, and why it leaves in the other case."""

    origin: str
    sample_id: str
    why: str


@dataclass(frozen=True)
class Record:
    """All that the page shows."""

    name: str
    run_id: str
    changes: Sequence[str]
    """The limits tried, as they were typed."""
    counts: Sequence[tuple[str, int, int]]
    """(state, files now, files then)."""
    gained: Sequence[Moved]
    lost: Sequence[Moved]
    thumbnails: Mapping[str, bytes]
    most: int
    """Pictures shown of each."""


def write(record: Record, path: Path) -> Path:
    """Write the page; it appears complete or not at all. Returns `path`."""
    with atomic.file(path) as part:
        part.write_text(html(record), encoding="utf-8", errors="backslashreplace")
    return path


def html(record: Record) -> str:
    """The page: no request leaves it, and every text of the record stays text."""
    album = Album(record.thumbnails)
    galleries = [
        _gallery(title, moved, album, record.most)
        for title, moved in (("Lost", record.lost), ("Gained", record.gained))
        if moved
    ]
    template = environment().get_template("whatif.html.j2")
    return template.render(record=record, galleries=galleries, **page_sources())


def _gallery(title: str, moved: Sequence[Moved], album: Album, most: int) -> Gallery:
    tiles = [Tile(album.thumbnail(one.sample_id), one.origin, one.why) for one in moved[:most]]
    return Gallery(title, "would leave" if title == "Lost" else "would stay", len(moved), tiles)
