"""Pictures that lie in containers, such as archives and Parquet files: read as a stream, never unpacked by name.

A reader of containers yields members. Here their bytes are stored, and what stands beside pictures (captions, metadata,
masks) is brought to them. What was found in a container is remembered, so that one whose size and time of change are as
they were is not opened again.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from pipeline.errors import InputError, PictureError
from pipeline.manifest import Row, digest, read_table
from pipeline.settings import Source
from pipeline.sources import _masks, _metadata
from pipeline.sources._names import nested, unsafe
from pipeline.sources._rows import describe, further, shown
from pipeline.workspace import Workspace, write_table

VERSION = 3
"""Raised when the same container is found to hold something else."""
AT_ONCE = 8
"""Members that are stored at a time: each waits for the disk to have it."""
SIDECARS = (".txt", ".caption")
LONGEST_TEXT = 2**20
"""Bytes of the longest caption; what is longer is no caption."""
LONGEST_METADATA = 64 * 2**20
FOUND = pa.schema(
    [
        ("name", pa.string()),
        ("sample_id", pa.string()),
        ("bytes", pa.int64()),
        ("sidecar", pa.string()),
        ("told", pa.string()),  # JSON of what a row of metadata says
        ("where", pa.string()),  # that row
        ("error", pa.string()),
    ]
)


@dataclass(frozen=True)
class Member:
    """One thing in a container."""

    name: str
    """Its path in the container, parts parted by /; empty for the container itself."""
    data: bytes | None = None
    problem: PictureError | None = None
    told: Mapping[str, Any] | None = None
    """A row of metadata that came with it."""
    share: float = 1.0
    """How much of the container has been read, 0 to 1."""


Reader = Callable[[Path], Iterator[Member]]
"""Reads a container; raises nothing for what is wrong in it."""
Stem = Callable[[str], str]
"""What a member's name has in common with what stands beside it."""


def plain_stem(name: str) -> str:
    """A name without its ending."""
    path = PurePosixPath(name)
    return str(path.with_suffix("")) if path.name else name


def scan(
    source: Source,
    position: int,
    workspace: Workspace,
    containers: Sequence[Path],
    reader: Reader,
    *,
    stem: Stem = plain_stem,
    told_in: tuple[str, ...] = (),
    on_read: Callable[[Path], object],
    progress: Callable[[int, int], object],
) -> list[Row]:
    """One row for each member of the containers, sorted; those of containers that changed are read and stored.

    `told_in` are the endings of files that hold a row of metadata (JSON) for the picture beside them.
    """
    sizes = [path.stat().st_size for path in containers]
    rows: list[Row] = []
    members = before = 0
    for path, size in zip(containers, sizes, strict=True):
        found = remembered(path, workspace)
        if found is None:

            def tell(seen: int, share: float, before: int = before, size: int = size, members: int = members) -> None:
                done = (before + share * size) / max(1, sum(sizes))
                progress(members + seen, max(members + seen, round((members + seen) / max(done, 1e-9))))

            identity = _identity(path)
            found = list(_read(reader(path), workspace, path, stem, told_in, on_read, tell))
            write_table(memory(path, workspace), pa.Table.from_pylist(found, schema=FOUND.with_metadata(identity)))
        rows += _rows(path, found, source, position)
        members, before = members + len(found), before + size
    progress(members, members)
    return sorted(rows, key=lambda row: str(row["origin"]))


def known(containers: Iterable[Path], workspace: Workspace) -> Iterator[tuple[str, str | None]]:
    """Origin and sample id of each member that is remembered; a container that would be read again counts as one."""
    for path in containers:
        found = remembered(path, workspace)
        if found is None:
            yield shown(path), None
        else:
            masks = _masks_of(found)
            yield from ((_origin(path, row), row["sample_id"]) for row in found if row["name"] not in masks)


def remembered(path: Path, workspace: Workspace) -> list[Row] | None:
    """What was found in a container, None where it changed since, or where what was stored of it is gone."""
    place = memory(path, workspace)
    if not place.exists():
        return None
    table = read_table(place)
    rows: list[Row] = table.to_pylist()
    whole = all(workspace.original(row["sample_id"]).exists() for row in rows if row["sample_id"])
    return rows if whole and (table.schema.metadata or {}) == _identity(path) else None


def memory(path: Path, workspace: Workspace) -> Path:
    """Where it is remembered what a container holds."""
    return workspace.root / "tables" / "files" / f"{digest(shown(path.resolve()))[:16]}.parquet"


def _identity(path: Path) -> dict[bytes, bytes]:
    status = path.stat()
    told = {"version": VERSION, "size": status.st_size, "mtime_ns": status.st_mtime_ns}
    return {key.encode(): str(value).encode() for key, value in told.items()}


def _read(
    members: Iterator[Member],
    workspace: Workspace,
    path: Path,
    stem: Stem,
    told_in: tuple[str, ...],
    on_read: Callable[[Path], object],
    tell: Callable[[int, float], object],
) -> Iterator[Row]:
    """What is in a container: each member is stored, but for what stands beside others."""
    found: list[Row] = []
    texts: dict[str, bytes] = {}  # captions, metadata and .json until it is known whether they belong to a picture
    names: set[str] = set()
    metadata: dict[str, _metadata.Raw] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        checked = _checked(members, names)
        while lot := list(islice(checked, AT_ONCE)):
            kept = []
            for member in lot:
                name, data = PurePosixPath(member.name), member.data or b""
                if name.name in _metadata.FILES and len(data) <= LONGEST_METADATA and member.data is not None:
                    metadata |= {shown(picture): raw for picture, raw in _metadata.raws(data, path / name)}
                elif name.suffix.lower() in (*SIDECARS, *told_in) and len(data) <= LONGEST_TEXT and data:
                    texts[member.name] = data
                else:
                    kept.append(member)
            found += pool.map(lambda member: _keep(member, workspace), kept)
            for member in kept:
                on_read(path / member.name)
            tell(len(found), lot[-1].share)
    beside, lonely = _beside(texts, {stem(row["name"]) for row in found if row["name"]}, stem, told_in, path)
    found += [_keep(Member(name, data), workspace) for name, data in lonely.items()]
    for row in found:
        picture = path / row["name"]
        sidecar, told, where = beside.get(stem(row["name"]), (None, None, ""))
        if (in_table := metadata.pop(shown(picture), None)) is not None:
            told, where = in_table.row, in_table.where
        told = {**(json.loads(row["told"]) if row["told"] else {}), **(told or {})}
        where = where or shown(picture)
        yield {**row, "sidecar": sidecar, "told": json.dumps(told, default=str) if told else None, "where": where}
    for place, missing in metadata.items():
        told_of, error = place.removeprefix(f"{shown(path)}/"), f"missing: named in {missing.where}"
        yield {**dict.fromkeys(FOUND.names), "name": told_of, "error": error, "where": missing.where}


def _checked(members: Iterator[Member], names: set[str]) -> Iterator[Member]:
    """The members that are anybody's business, with what is wrong with their names and contents."""
    for number, member in enumerate(members, start=1):
        parts = PurePosixPath(member.name).parts
        hidden = any(part.startswith(".") and part != ".." for part in parts) or "__MACOSX" in parts
        if hidden and not member.problem and unsafe(member.name) is None:
            continue
        name, problem = shown(member.name), member.problem or (unsafe(member.name) if member.name else None)
        if name and not problem:
            name = str(PurePosixPath(name))  # tar writes ./a.png
        if name in names:
            problem = problem or PictureError("name_taken", "an earlier entry has this name")
            name = f"{name} (entry {number})"
        while name in names:
            name += "'"
        if problem is None and (kind := nested(member.data or b"")):
            problem = PictureError("nested_archive", f"a {kind} archive within one; unpack it first")
        names.add(name)
        yield Member(name, None if problem else member.data, problem, member.told, member.share)


def _keep(member: Member, workspace: Workspace) -> Row:
    row: Row = {**dict.fromkeys(FOUND.names), "name": member.name}
    if member.told:
        row["told"] = json.dumps(dict(member.told))
    if member.problem:
        return {**row, "error": str(member.problem)}
    data = member.data or b""
    try:
        return {**row, "sample_id": workspace.keep_original(data), "bytes": len(data)}
    except PictureError as error:
        return {**row, "error": str(error)}


def _beside(
    texts: Mapping[str, bytes], stems: set[str], stem: Stem, told_in: tuple[str, ...], path: Path
) -> tuple[dict[str, tuple[str | None, Mapping[str, Any] | None, str]], dict[str, bytes]]:
    """What captions and JSON files say by the stem of their pictures, and those that stand alone."""
    found: dict[str, tuple[str | None, Mapping[str, Any] | None, str]] = {}
    lonely: dict[str, bytes] = {}
    for name, data in sorted(texts.items()):
        key = stem(name)
        caption, told, where = found.get(key, (None, None, ""))
        if key not in stems:
            lonely[name] = data
        elif PurePosixPath(name).suffix.lower() in told_in:
            try:
                row = json.loads(data)
                told = row if isinstance(row, dict) else told
                where = shown(path / name)
            except ValueError:
                lonely[name] = data
        else:
            caption = data.decode("utf-8-sig", "replace").strip() or None
        found[key] = (caption, told, where)
    return found, lonely


def _origin(path: Path, row: Row) -> str:  # paths are not joined: an absolute name would leave the container out
    return f"{shown(path)}/{row['name']}" if row["name"] else shown(path)


def _masks_of(found: Sequence[Row]) -> dict[str, str | None]:
    """The picture of each mask, by their names."""
    return _masks.of((row["name"] for row in found if row["error"] is None), Path(), None)


def _rows(path: Path, found: Sequence[Row], source: Source, position: int) -> Iterator[Row]:
    masks = _masks_of(found)
    mask_of = {picture: mask for mask, picture in sorted(masks.items(), reverse=True) if picture}
    ids = {row["name"]: row["sample_id"] for row in found}
    for row in found:
        name, told, error = row["name"], None, row["error"]
        try:
            if row["told"] and name not in masks:  # of one key in a shard, it is told of the picture
                told = _metadata.of_row(json.loads(row["told"]), row["where"])
        except InputError as wrong:  # in somebody else's archive, which nobody can mend
            error = f"metadata: {wrong}"
        inside = PurePosixPath(name).parent.name or path.name.partition(".")[0]
        made = describe(_origin(path, row), source, position, told, row["sidecar"], folder=inside)
        made |= {"sample_id": None if error else row["sample_id"], "bytes": row["bytes"], "error": error}
        if name in masks:
            picture = masks[name]
            alone = {"error": "mask_alone: a mask, and there is no picture that it belongs to", "sample_id": None}
            made |= {"mask_of": shown(path / picture)} if picture else alone
        elif name in mask_of:
            made["mask"] = ids[mask_of[name]]
        yield made
        yield from further(made, told)
