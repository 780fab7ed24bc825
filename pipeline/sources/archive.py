"""A zip or tar archive of pictures, or a folder of archives: read as a stream, never unpacked by name.

Within it holds what holds for a folder: captions beside pictures, metadata.csv and metadata.jsonl, masks. What is
hostile is refused entry by entry, see `_archives`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.manifest import Row
from pipeline.settings import Source
from pipeline.sources import _archives, _packed
from pipeline.sources._rows import files_of
from pipeline.workspace import Workspace

DESCRIPTION = "a zip or tar archive (also .tar.gz, .tar.bz2, .tar.xz), or a folder of them, read without unpacking"


def check(source: Source, position: int) -> None:
    """See that there is an archive.

    Raises:
        InputError: there is none.
    """
    files_of(source, position, _archives.ENDINGS, "archive")


def known(source: Source, workspace: Workspace) -> Iterator[tuple[str, str | None]]:
    """Each member that is remembered; an archive that would be read again counts as one."""
    return _packed.known(files_of(source, 0, _archives.ENDINGS, "archive"), workspace)


def scan(
    source: Source,
    position: int,
    workspace: Workspace,
    *,
    on_read: Callable[[Path], object] = lambda _: None,
    progress: Callable[[int, int], object] = lambda done, total: None,  # noqa: ARG005 (names say what comes)
) -> list[Row]:
    """One row for each member; archives that are as they were are not opened.

    Raises:
        InputError: there is no archive, or a metadata file in one cannot be understood.
    """
    archives = files_of(source, position, _archives.ENDINGS, "archive")
    return _packed.scan(source, position, workspace, archives, _archives.read, on_read=on_read, progress=progress)
