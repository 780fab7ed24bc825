"""The page of how varied a set is: viewpoints side by side, and the pictures unlike the rest; it opens offline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import atomic
from pipeline.reporting.galleries import Gallery, Tile
from pipeline.reporting.pictures import Album
from pipeline.reporting.report import environment, page_sources

Shown = tuple[str, str, str]
"""Where a picture came from, its sample id, and a note."""


@dataclass(frozen=True, slots=True)
class Group:
    """Some of the pictures that share a viewpoint."""

    title: str
    total: int
    pictures: Sequence[Shown]


@dataclass(frozen=True)
class Record:
    """All that the page shows."""

    name: str
    run_id: str
    said: Sequence[str]
    """What there is to say, a sentence each; the first is the summary."""
    groups: Sequence[Group]
    odd: Sequence[Shown]
    thumbnails: Mapping[str, bytes]


def write(record: Record, path: Path) -> Path:
    """Write the page; it appears complete or not at all. Returns `path`."""
    with atomic.file(path) as part:
        part.write_text(html(record), encoding="utf-8", errors="backslashreplace")
    return path


def html(record: Record) -> str:
    """The page: no request leaves it, and every text of the record stays text."""
    album = Album(record.thumbnails)
    odd = [_tile(one, album) for one in record.odd]
    groups = [Gallery(one.title, "", one.total, [_tile(each, album) for each in one.pictures]) for one in record.groups]
    return environment().get_template("variety.html.j2").render(record=record, odd=odd, groups=groups, **page_sources())


def _tile(shown: Shown, album: Album) -> Tile:
    origin, sample_id, note = shown
    return Tile(album.thumbnail(sample_id), origin, note)
