"""Rows of `manifest.ORIGINS`, as every source makes them from what it knows of a file."""

import os
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from pipeline.errors import InputError, PictureError
from pipeline.manifest import RIGHTS, Row
from pipeline.settings import Source
from pipeline.sources._metadata import Told


def shown(path: Path | str) -> str:
    """A path as people and tables see it; bytes that are no UTF-8 are escaped."""
    if isinstance(path, str) and path.isascii():
        return path
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def describe(origin: str, source: Source, position: int, told: Told | None, sidecar: str | None, *, folder: str) -> Row:
    """The row of a file, as if it could not be read yet; `folder` is the name of the folder that it lies in.

    What is told of the file itself goes before what the recipe tells of the source.
    """
    row = {**_of_source(source, position, folder), "origin": origin, "sidecar": sidecar or None}
    if told:
        row |= {**told.rights, "sidecar": (sidecar if told.caption is None else told.caption) or None, **told.subject}
    return row


@lru_cache(maxsize=256)
def _of_source(source: Source, position: int, folder: str) -> Row:
    """What the recipe tells of all files of a folder."""
    return {
        "origin": "",
        "source": position,
        "sample_id": None,
        "bytes": None,
        **{name: getattr(source.rights, name) for name in RIGHTS},
        "split": None,
        "sidecar": None,
        "class": (source.class_ or "").replace("{folder}", folder) or None,
        "trigger": source.trigger,
        "repeats": source.repeats,
        "mask": None,
        "mask_of": None,
        "error": None,
    }


def further(row: Row, told: Told | None) -> Iterator[Row]:
    """Rows for the further places that a picture is said to have come from: the same bytes under other rights."""
    for number, rights in enumerate(told.also if told else (), start=2):
        yield {**row, **dict.fromkeys(RIGHTS), **rights, "origin": f"{row['origin']}#{number}"}


def said(error: OSError | PictureError) -> str:
    """What keeps a file from being read, as a row has it: "reason: detail"."""
    return str(error) if isinstance(error, PictureError) else f"unreadable: {error.strerror or error}"


def files_of(source: Source, position: int, endings: Sequence[str], what: str) -> list[Path]:
    """The files of a source whose path is one of them, or a folder of them: those with one of the endings, sorted.

    Raises:
        InputError: there is nothing at the path, or nothing of the kind.
    """
    path = source.path
    found = [path] if path.is_file() else []
    if path.is_dir():
        found = sorted(
            one
            for one in path.rglob("*")
            if one.name.lower().endswith(tuple(endings))
            and one.is_file()
            and not any(part.startswith(".") for part in one.relative_to(path).parts)
        )
    if not found:
        raise InputError(
            f"there is no {what} here",
            field=f"sources.{position}.path",
            value=str(path),
            remedy=f"Name {what}, or a folder of them, or set it with --set sources.{position}.path=PATH.",
        )
    return found
