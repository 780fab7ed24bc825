"""A folder of pictures, read recursively, with what stands beside them.

Beside a picture may stand a caption of the same name ending in .txt, and in any folder a `metadata.csv` or
`metadata.jsonl` with captions and rights. A file that is not a picture is an origin too: whoever reads its bytes will
say so in the ledger. So is what cannot be read, a link to a folder, and a picture that metadata names and that is not
there. A mask belongs to a picture, see `_masks`; it is stored as it is and no picture of its own. Hidden files, and
workspaces that lie within the folder, are none of gesso's business.
"""

import functools
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import InputError, PictureError
from pipeline.imaging import Limits
from pipeline.manifest import Row
from pipeline.settings import Source
from pipeline.sources import _captions, _masks, _memory, _metadata
from pipeline.sources._rows import describe, further, said, shown
from pipeline.workspace import MARK, Workspace

DESCRIPTION = "a folder of pictures, read recursively, with .txt captions and metadata.csv or metadata.jsonl"
READERS = 8
"""Files that are read and stored at a time: each waits for the disk to have it."""
SIDECARS = (".txt", ".TXT", ".caption")
ABOUT = (*_metadata.FILES, "README.md", "ATTRIBUTION.md")
"""Files that are about pictures, and none of them."""


class Listed(NamedTuple):
    """A file that is there."""

    path: str
    """A text, as everything here that is done for each file: of 100,000 a Path takes seconds more."""
    problem: PictureError | None
    """What keeps it from being read."""
    status: os.stat_result | None = None
    captions: tuple[str, ...] = ()
    """Paths of what may be its caption, best first."""


def check(source: Source, position: int) -> None:
    """See that the folder is there.

    Raises:
        InputError: it is not.
    """
    if not source.path.is_dir():
        raise InputError(
            "there is no such folder",
            field=f"sources.{position}.path",
            value=str(source.path),
            remedy=f"Name a folder of pictures, or set it with --set sources.{position}.path=FOLDER.",
        )


def known(source: Source, workspace: Workspace, sidecars: Sequence[str] = SIDECARS) -> Iterator[tuple[str, str | None]]:
    """Path of each picture, with its sample id if it was read before and looks the same."""
    before = _memory.seen(source.path, workspace)
    for path in sorted(files(source.path, source.masks, sidecars), key=shown):
        yield str(path), before.get(_memory.identity(str(path), source.path))


def scan(
    source: Source,
    position: int,
    workspace: Workspace,
    *,
    on_read: Callable[[Path], object] = lambda _: None,
    progress: Callable[[int, int], object] = lambda done, total: None,  # noqa: ARG005 (names say what comes)
    sidecars: Sequence[str] = SIDECARS,
) -> list[Row]:
    """One row for each file below the folder, sorted by path; new and changed ones are read and stored.

    A file whose size and time of change are as they were is trusted to be the same; `on_read` is told of the others,
    and `progress` how many of how many files were seen to. `sidecars` are the endings of captions, best first.

    Raises:
        InputError: the folder is not there, or a metadata file cannot be understood.
    """
    check(source, position)
    root, refer = source.path, source.originals == "reference"
    told = _metadata.read(_metadata_files(root))
    before = _memory.remembered(root, workspace)
    listed = [*_listing(root, sidecars), *_masks_outside(source)]
    matched = _metadata.matched(told, [one.path for one in listed])
    masks = _masks.of((one.path for one in listed), root, source.masks)

    def look(one: Listed, *, read: bool = True) -> tuple[Row, tuple[_memory.Known, _memory.Remembered] | None] | None:
        """The file's row, and what it is known by the next time; None where it is to be read first, and not now."""
        path, beside = one.path, matched.get(one.path)
        try:
            if one.problem:
                raise one.problem
            if path in masks and masks[path] is None:
                raise PictureError("mask_alone", "a mask, and there is no picture that it belongs to")
            known = _memory.identity(path, root, one.status)
            sample_id, caption = before.get(known, _memory.NEVER)
            if sample_id is None or not _is_stored(sample_id, path, workspace, refer=refer):
                if not read:
                    return None
                on_read(Path(path))
                sample_id = _store(Path(path), workspace, refer=refer)
            caption = _captions.look(one.captions, caption)
            row = _describe(path, source, position, beside, caption.text)
        except (OSError, PictureError) as error:
            return {**_describe(path, source, position, beside, None), "error": said(error)}, None
        row["sample_id"], row["bytes"] = sample_id, known[1]
        return row, (known, _memory.Remembered(sample_id, caption))

    looked = [look(one, read=False) for one in listed]  # most are as they were, and no work for threads
    unread = [place for place, found in enumerate(looked) if found is None]
    with ThreadPoolExecutor(READERS) as pool:
        read = pool.map(lambda place: look(listed[place]), unread)
        for place, found in zip(unread, read, strict=True):
            progress(place, len(listed))
            looked[place] = found
    rows = [one[0] for one in looked if one]
    progress(len(listed), len(listed))
    _attach(rows, {shown(mask): shown(picture) for mask, picture in masks.items() if picture})
    if matched:
        beside_of = [matched.get(one.path) for one in listed]
        rows += [one for row, beside in zip(rows, beside_of, strict=True) for one in further(row, beside)]
    for path, beside in told.items():
        missing = f"missing: named in {shown(beside.where)}"
        rows.append({**_describe(str(path), source, position, beside, None), "error": missing})
    now = dict(one[1] for one in looked if one and one[1])
    if now != before:
        _memory.remember(root, workspace, now)
    return sorted(rows, key=lambda row: str(row["origin"]))


def files(root: Path, masks: Path | None = None, sidecars: Sequence[str] = SIDECARS) -> Iterator[Path]:
    """The files below `root` that a scan would read as pictures; `masks` is a folder of masks."""
    found = [one.path for one in _listing(root, sidecars) if one.problem is None]
    beside = _masks.of(found, root, masks)
    return (Path(path) for path in found if path not in beside)


def _attach(rows: list[Row], masks: Mapping[str, str]) -> None:
    """Tell masks and pictures of each other, by their origins; of several masks of a picture the first one counts."""
    named = {row["origin"]: row for row in rows}
    for mask, picture in sorted(masks.items(), reverse=True):
        if named[mask]["error"] is None:
            named[mask]["mask_of"] = picture
            named[picture]["mask"] = named[mask]["sample_id"]


def _masks_outside(source: Source) -> Iterator[Listed]:
    """What lies in the source's folder of masks, where that is not below the source's own.

    Raises:
        InputError: there is no such folder.
    """
    if source.masks is None:
        return
    if not source.masks.is_dir():
        raise InputError(
            "there is no such folder",
            field="sources.masks",
            value=str(source.masks),
            remedy="Name the folder of masks, or leave it out.",
        )
    if not source.masks.resolve().is_relative_to(source.path.resolve()):
        yield from _listing(source.masks, SIDECARS)


def _is_stored(sample_id: str, path: str, workspace: Workspace, *, refer: bool) -> bool:
    """Whether the bytes of an unchanged file are there as they should be; another that is referred to may change."""
    place = workspace.original_path(sample_id)
    try:
        linked = stat.S_ISLNK(os.lstat(place).st_mode)
    except OSError:
        return False
    return not linked or (refer and Path(place).exists() and Path(place).readlink() == Path(path).resolve())


def _store(path: Path, workspace: Workspace, *, refer: bool) -> str:
    most, size = Limits().max_bytes, path.stat().st_size
    if size > most:
        raise PictureError("too_many_bytes", f"{size} bytes, at most {most} are allowed")
    data = path.read_bytes()
    return workspace.refer_original(path, data) if refer else workspace.keep_original(data)


def _listing(root: Path, sidecars: Sequence[str]) -> Iterator[Listed]:
    """Everything below `root` but captions and metadata, with what keeps it from being read."""
    failed: list[OSError] = []
    for folder, links, names in _walk(root, failed.append):
        for name in links:
            problem = PictureError("not_followed", "a link to a folder; name that as a source of its own")
            yield Listed(_memory.prefix(folder) + name, problem)
        beside = {name for name in names if name.endswith(tuple(sidecars))}
        pictures = {_stem(name) for name in names if name not in beside}
        prefix = _memory.prefix(folder)
        for name in names:
            stem = _stem(name)
            if name not in ABOUT and not (name in beside and stem in pictures):
                captions = (stem + one for one in sidecars if stem + one in beside and stem + one != name)
                yield _listed(prefix + name, tuple([prefix + one for one in captions]))
    for error in failed:
        yield Listed(str(Path(error.filename)), PictureError("unreadable", f"a folder ({error.strerror})"))


def _metadata_files(root: Path) -> Iterator[Path]:
    for folder, _, names in _walk(root, lambda _: None):
        yield from (folder / name for name in _metadata.FILES if name in names)


def _walk(root: Path, failed: Callable[[OSError], None]) -> Iterator[tuple[Path, list[str], list[str]]]:
    """The folders from `root` down, each with its links to folders and its files; hidden ones and workspaces apart."""
    for folder, below, names in os.walk(root, onerror=failed):
        below[:] = [] if MARK in names else sorted(name for name in below if not name.startswith("."))
        if MARK not in names:
            links = [name for name in below if Path(folder, name).is_symlink()]
            yield Path(folder), links, sorted(name for name in names if not name.startswith("."))


def _listed(path: str, captions: tuple[str, ...]) -> Listed:
    try:
        status = os.stat(path)  # noqa: PTH116 (see Listed)
    except OSError as error:
        return Listed(path, PictureError("unreadable", error.strerror or str(error)))
    regular = stat.S_ISREG(status.st_mode)
    return Listed(path, None if regular else PictureError("unreadable", "a pipe, socket or device"), status, captions)


def _stem(name: str) -> str:
    """A file's name without its ending, as `Path.stem` has it."""
    at = name.rfind(".")
    return name[:at] if 0 < at < len(name) - 1 else name


def _describe(path: str, source: Source, position: int, told: _metadata.Told | None, sidecar: str | None) -> Row:
    return describe(shown(path), source, position, told, sidecar, folder=_folder_of(path[: path.rfind(os.sep) + 1]))


@functools.lru_cache(maxsize=64)
def _folder_of(parent: str) -> str:
    """The name of a folder that files lie in."""
    return shown(Path(parent).absolute().name)
