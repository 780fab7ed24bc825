"""A folder of pictures, read recursively, with what stands beside them.

Beside a picture may stand a caption of the same name ending in .txt, and in any folder a `metadata.csv` or
`metadata.jsonl` with captions and rights. A file that is not a picture is an origin too: whoever reads its bytes will
say so in the ledger. So is what cannot be read, a link to a folder, and a picture that metadata names and that is not
there. A mask belongs to a picture, see `_masks`; it is stored as it is and no picture of its own. Hidden files, and
workspaces that lie within the folder, are none of gesso's business.
"""

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa

from pipeline.errors import InputError, PictureError
from pipeline.imaging import Limits
from pipeline.manifest import Row, digest, read_table
from pipeline.settings import Source
from pipeline.sources import _masks, _metadata
from pipeline.workspace import MARK, Workspace, write_table

DESCRIPTION = "a folder of pictures, read recursively, with .txt captions and metadata.csv or metadata.jsonl"
READERS = 8
"""Files that are read and stored at a time: each waits for the disk to have it."""
SIDECARS = (".txt", ".TXT")
SEEN = pa.schema([("path", pa.string()), ("size", pa.int64()), ("mtime_ns", pa.int64()), ("sample_id", pa.string())])


def scan(
    source: Source,
    position: int,
    workspace: Workspace,
    *,
    on_read: Callable[[Path], object] = lambda _: None,
    progress: Callable[[int, int], object] = lambda done, total: None,  # noqa: ARG005 (names say what comes)
) -> list[Row]:
    """One row for each file below the folder, sorted by path; new and changed ones are read and stored.

    A file whose size and time of change are as they were is trusted to be the same; `on_read` is told of the others,
    and `progress` how many of how many files were seen to.

    Raises:
        InputError: the folder is not there, or a metadata file cannot be understood.
    """
    root = source.path
    if not root.is_dir():
        raise InputError(
            "there is no such folder",
            field=f"sources.{position}.path",
            value=str(root),
            remedy=f"Name a folder of pictures, or set it with --set sources.{position}.path=FOLDER.",
        )
    told = _metadata.read(_metadata_files(root))
    before = seen(root, workspace)
    listed = [(path, problem, told.pop(path, None)) for path, problem in [*_listing(root), *_masks_outside(source)]]
    masks = _masks.of((path for path, _, _ in listed), root, source.masks)

    def look(path: Path, problem: PictureError | None, beside: _metadata.Told | None) -> tuple[Row, Row | None]:
        """The file's row, and what it is known by the next time."""
        try:
            if problem:
                raise problem
            if path in masks and masks[path] is None:
                raise PictureError("mask_alone", "a mask, and there is no picture that it belongs to")
            row = _describe(path, source, position, beside, _caption(path))
            known = identity(path, root)
            sample_id = before.get(known)
            if sample_id is None or not workspace.original(sample_id).exists():
                on_read(path)
                sample_id = _store(path, workspace)
        except (OSError, PictureError) as error:
            said = str(error) if isinstance(error, PictureError) else f"unreadable: {error.strerror or error}"
            return {**_describe(path, source, position, beside, None), "error": said}, None
        seen_now = dict(zip(SEEN.names, (*known, sample_id), strict=True))
        return {**row, "sample_id": sample_id, "bytes": known[1]}, seen_now

    rows, now = [], []
    with ThreadPoolExecutor(READERS) as pool:
        for place, (row, seen_now) in enumerate(pool.map(look, *zip(*listed, strict=True)) if listed else ()):
            progress(place, len(listed))
            rows.append(row)
            now += [seen_now] if seen_now else []
    progress(len(listed), len(listed))
    _attach(rows, {shown(mask): shown(picture) for mask, picture in masks.items() if picture})
    for path, beside in told.items():
        said = f"missing: named in {shown(beside.where)}"
        rows.append({**_describe(path, source, position, beside, None), "error": said})
    write_table(_memory(root, workspace), pa.Table.from_pylist(now, schema=SEEN))
    return sorted(rows, key=lambda row: str(row["origin"]))


def files(root: Path, masks: Path | None = None) -> Iterator[Path]:
    """The files below `root` that a scan would read as pictures; `masks` is a folder of masks."""
    found = [path for path, problem in _listing(root) if problem is None]
    beside = _masks.of(found, root, masks)
    return (path for path in found if path not in beside)


def identity(path: Path, root: Path) -> tuple[str, int, int]:
    """What a file is known by while nobody changes it: path below `root`, size in bytes, time of change in ns."""
    status = path.stat()
    place = path.relative_to(root) if path.is_relative_to(root) else path
    return shown(place), status.st_size, status.st_mtime_ns


def seen(root: Path, workspace: Workspace) -> dict[tuple[str, int, int], str]:
    """The sample ids of the files that the last scan of this folder read, by their identity."""
    memory = _memory(root, workspace)
    rows = read_table(memory).to_pylist() if memory.exists() else []
    return {(row["path"], row["size"], row["mtime_ns"]): row["sample_id"] for row in rows}


def shown(path: Path | str) -> str:
    """A path as people and tables see it; bytes that are no UTF-8 are escaped."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _attach(rows: list[Row], masks: Mapping[str, str]) -> None:
    """Tell masks and pictures of each other, by their origins; of several masks of a picture the first one counts."""
    named = {row["origin"]: row for row in rows}
    for mask, picture in sorted(masks.items(), reverse=True):
        if named[mask]["error"] is None:
            named[mask]["mask_of"] = picture
            named[picture]["mask"] = named[mask]["sample_id"]


def _masks_outside(source: Source) -> Iterator[tuple[Path, PictureError | None]]:
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
        yield from _listing(source.masks)


def _memory(root: Path, workspace: Workspace) -> Path:
    return workspace.root / "tables" / "files" / f"{digest(str(root.resolve()))[:16]}.parquet"


def _store(path: Path, workspace: Workspace) -> str:
    most, size = Limits().max_bytes, path.stat().st_size
    if size > most:
        raise PictureError("too_many_bytes", f"{size} bytes, at most {most} are allowed")
    return workspace.keep_original(path.read_bytes())


def _listing(root: Path) -> Iterator[tuple[Path, PictureError | None]]:
    """Everything below `root` but captions and metadata, with what keeps it from being read."""
    failed: list[OSError] = []
    for folder, links, names in _walk(root, failed.append):
        for name in links:
            yield folder / name, PictureError("not_followed", "a link to a folder; name that as a source of its own")
        pictures = {Path(name).stem for name in names if not name.endswith(SIDECARS)}
        for name in names:
            if name not in _metadata.FILES and not (name.endswith(SIDECARS) and Path(name).stem in pictures):
                yield folder / name, _problem(folder / name)
    for error in failed:
        yield Path(error.filename), PictureError("unreadable", f"a folder ({error.strerror})")


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


def _problem(path: Path) -> PictureError | None:
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        return PictureError("unreadable", error.strerror or str(error))
    return None if regular else PictureError("unreadable", "a pipe, socket or device")


def _caption(path: Path) -> str | None:
    for suffix in SIDECARS:
        beside = path.with_suffix(suffix)
        if beside != path and beside.is_file():
            return beside.read_text(encoding="utf-8-sig", errors="replace").strip() or None
    return None


def _describe(path: Path, source: Source, position: int, told: _metadata.Told | None, sidecar: str | None) -> Row:
    told = told or _metadata.Told("", None, {})
    return {
        "origin": shown(path),
        "source": position,
        "sample_id": None,
        "bytes": None,
        **{name: told.rights.get(name) or getattr(source.rights, name) for name in _metadata.RIGHTS},
        "sidecar": told.caption or sidecar,
        "class": (source.class_ or "").replace("{folder}", shown(path.absolute().parent.name)) or None,
        "trigger": source.trigger,
        "repeats": source.repeats,
        "mask": None,
        "mask_of": None,
        "error": None,
    }
