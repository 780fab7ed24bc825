"""webdataset's tar shards: what has the same name up to the first dot belongs together.

Of each key the picture is read, its caption from .txt or .caption, and a row of metadata from .json, in the columns
that `metadata.jsonl` has; where there is no source_url, img2dataset's `url` is one. A mask is KEY.mask.png.
"""

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from pipeline.manifest import Row
from pipeline.settings import Source
from pipeline.sources import _archives, _packed
from pipeline.sources._rows import files_of
from pipeline.workspace import Workspace

DESCRIPTION = "webdataset tar shards (a folder of them, or one): pictures with .txt and .json by key"
ENDINGS = tuple(ending for ending in _archives.ENDINGS if ending != ".zip")


def check(source: Source, position: int) -> None:
    """See that there are shards.

    Raises:
        InputError: there are none.
    """
    files_of(source, position, ENDINGS, "tar shard")


def known(source: Source, workspace: Workspace) -> Iterator[tuple[str, str | None]]:
    """Each member that is remembered; a shard that would be read again counts as one."""
    return _packed.known(files_of(source, 0, ENDINGS, "tar shard"), workspace)


def key(name: str) -> str:
    """What a sample's files have in common: the path up to the first dot of the file's own name."""
    path = PurePosixPath(name)
    return str(path.with_name(path.name.partition(".")[0] or path.name)) if path.name else name


def scan(
    source: Source,
    position: int,
    workspace: Workspace,
    *,
    on_read: Callable[[Path], object] = lambda _: None,
    progress: Callable[[int, int], object] = lambda done, total: None,  # noqa: ARG005 (names say what comes)
) -> list[Row]:
    """One row for each picture; shards that are as they were are not opened.

    Raises:
        InputError: there is no shard.
    """
    return _packed.scan(
        source,
        position,
        workspace,
        files_of(source, position, ENDINGS, "tar shard"),
        _archives.read,
        stem=key,
        told_in=(".json",),
        on_read=on_read,
        progress=progress,
    )
