"""A folder of pictures anywhere that fsspec reads: `s3://bucket/photos`, `gs://…`, `memory://…`, `file:///…`.

Within it holds what holds for a folder: captions beside pictures, metadata.csv and metadata.jsonl, masks. A file whose
size and stamp (the store's etag, checksum or time of change) are as they were is not fetched again. Keys and endpoints
come from where fsspec looks for them, such as FSSPEC_S3_KEY or the cloud's own configuration. Pages on the web are not
read so, since nobody would check their addresses: for them there is the source `urls`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from pipeline.errors import InputError, PictureError
from pipeline.imaging import Limits
from pipeline.manifest import Row, digest, read_table
from pipeline.settings import Source
from pipeline.sources import _masks, _metadata
from pipeline.sources._rows import describe, further, said
from pipeline.workspace import Workspace, write_table

DESCRIPTION = "a folder anywhere that fsspec reads, such as s3://bucket/photos"
READERS = 16
"""Files that are fetched at a time: each waits for the store."""
SIDECARS = (".txt", ".caption")
ABOUT = ("README.md", "ATTRIBUTION.md")
STAMPS = ("ETag", "etag", "md5Hash", "checksum", "mtime", "LastModified", "last_modified", "updated", "created")
"""What stores call that by which a change is seen."""
SEEN = pa.schema(
    [
        ("name", pa.string()),
        ("size", pa.int64()),
        ("stamp", pa.string()),
        ("sample_id", pa.string()),
        ("text", pa.binary()),  # of captions and metadata, which are no pictures
    ]
)


def check(source: Source, position: int) -> None:
    """See that the address can be one.

    Raises:
        InputError: it has no protocol, or one that is not read so.
    """
    where = address(source)
    protocols = [part.partition("://")[0] for part in where.split("::")]
    if "://" not in where or any(one in ("http", "https") for one in protocols):
        raise InputError(
            "this is no address of a store",
            field=f"sources.{position}.path",
            value=where,
            remedy="Write protocol://place, such as s3://bucket/photos; for pages on the web use the kind `urls`.",
        )


def address(source: Source) -> str:
    """The source's address; as a path it has lost a slash."""
    whole = re.sub(r"^([\w+.:-]+?):/+", r"\1://", str(source.path))
    return re.sub(r"^(file|local)://", r"\1:///", whole)


def known(source: Source, workspace: Workspace) -> Iterator[tuple[str, str | None]]:
    """Each file that was fetched before; what there is now is not asked."""
    place = _memory(source, workspace)
    rows = read_table(place).to_pylist() if place.exists() else []
    if not rows:
        yield address(source), None
    yield from ((_origin(source, row["name"]), row["sample_id"]) for row in rows if row["sample_id"])


def scan(
    source: Source,
    position: int,
    workspace: Workspace,
    *,
    on_read: Callable[[Path], object] = lambda _: None,
    progress: Callable[[int, int], object] = lambda done, total: None,  # noqa: ARG005 (names say what comes)
) -> list[Row]:
    """One row for each file, sorted; new and changed ones are fetched and stored.

    Raises:
        InputError: the store cannot be reached or read, or a metadata file cannot be understood.
    """
    check(source, position)
    store, listed = _listing(source, position)
    place = _memory(source, workspace)
    before = {
        (row["name"], row["size"], row["stamp"]): row
        for row in (read_table(place).to_pylist() if place.exists() else ())
    }

    def look(name: str) -> Row:
        size, stamp = listed[name]["size"], listed[name]["stamp"]
        last = before.get((name, size, stamp))
        if last and (last["text"] is not None or workspace.original(last["sample_id"]).exists()):
            return {**last, "error": None}
        row = {"name": name, "size": size, "stamp": stamp, "sample_id": None, "text": None, "error": None}
        try:
            data = _fetch(store, listed[name])
            on_read(Path(name))
            if PurePosixPath(name).name in _metadata.FILES or PurePosixPath(name).suffix.lower() in SIDECARS:
                return row | {"text": data}
            return row | {"sample_id": workspace.keep_original(data)}
        except (OSError, PictureError) as error:
            return row | {"error": said(error)}

    found: dict[str, Row] = {}
    with ThreadPoolExecutor(READERS) as pool:
        for done, row in enumerate(pool.map(look, listed), start=1):
            found[row["name"]] = row
            progress(done, len(listed))
    kept = [{name: row[name] for name in SEEN.names} for row in found.values() if not row["error"]]
    write_table(place, pa.Table.from_pylist(kept, schema=SEEN))
    return sorted(_rows(found, source, position, workspace), key=lambda row: str(row["origin"]))


def _listing(source: Source, position: int) -> tuple[Any, dict[str, Mapping[str, Any]]]:
    """The store, and path, size and stamp of each file below the address, by its name there."""
    import fsspec  # a quarter of a second

    try:
        store, root = fsspec.core.url_to_fs(address(source))
        store.invalidate_cache()
        files = store.find(root, detail=True)
    except Exception as error:  # every store has kinds of its own: no key, no answer, no permission
        raise InputError(
            f"this store cannot be read ({' '.join(str(error).split())})",
            field=f"sources.{position}.path",
            value=address(source),
            remedy="See that the place is there, that its package is installed, and that you may read it.",
        ) from error
    found: dict[str, Mapping[str, Any]] = {}
    for path, told in sorted(files.items()):
        name = path.removeprefix(root).strip("/") or PurePosixPath(path).name
        hidden = any(part.startswith(".") for part in PurePosixPath(name).parts)
        folder = path.endswith("/")  # empty objects by which consoles of S3 make folders
        if told.get("type", "file") == "file" and not folder and not hidden and PurePosixPath(name).name not in ABOUT:
            stamp = next((str(told[key]) for key in STAMPS if told.get(key)), "")
            found[name] = {"path": path, "size": int(told.get("size") or 0), "stamp": stamp}
    if not found:
        raise InputError(
            "there are no files here",
            field=f"sources.{position}.path",
            value=address(source),
            remedy="Name a folder that has some.",
        )
    return store, found


def _fetch(store: Any, told: Mapping[str, Any]) -> bytes:  # noqa: ANN401 (fsspec has no types)
    most = Limits().max_bytes
    if told["size"] > most:
        raise PictureError("too_many_bytes", f"{told['size']} bytes, at most {most} are allowed")
    try:
        with store.open(told["path"], "rb") as file:
            data = bytes(file.read(most + 1))
    except OSError:
        raise
    except Exception as error:  # a kind of the store's own
        raise PictureError("unreadable", " ".join(str(error).split())) from error
    if len(data) > most:
        raise PictureError("too_many_bytes", f"{len(data)} bytes or more, at most {most} are allowed")
    return data


def _rows(found: Mapping[str, Row], source: Source, position: int, workspace: Workspace) -> Iterator[Row]:
    pictures = {name: row for name, row in found.items() if row["text"] is None}
    stems = {str(PurePosixPath(name).with_suffix("")) for name in pictures}
    captions: dict[str, str] = {}
    told: dict[str, _metadata.Told] = {}
    for name, row in found.items():
        if row["text"] is None:
            continue
        if PurePosixPath(name).name in _metadata.FILES:
            told |= {
                str(one): _metadata.of_row(raw.row, raw.where) for one, raw in _metadata.raws(row["text"], Path(name))
            }
        elif (stem := str(PurePosixPath(name).with_suffix(""))) in stems:
            captions[stem] = row["text"].decode("utf-8-sig", "replace").strip()
        else:  # a text that stands alone is told of like any file that is no picture
            pictures[name] = _lonely(row, workspace)
    masks = _masks.of((name for name, row in pictures.items() if not row["error"]), Path(), None)
    mask_of = {picture: mask for mask, picture in sorted(masks.items(), reverse=True) if picture}
    for name, row in sorted(pictures.items()):
        beside = told.pop(name, None)
        folder = PurePosixPath(name).parent.name or PurePosixPath(address(source)).name
        sidecar = captions.get(str(PurePosixPath(name).with_suffix("")))
        made = describe(_origin(source, name), source, position, beside, sidecar, folder=folder)
        made |= {"sample_id": row["sample_id"], "bytes": row["size"], "error": row["error"]}
        if picture := masks.get(name):
            made["mask_of"] = _origin(source, picture)
        elif name in masks:
            made |= {"sample_id": None, "error": "mask_alone: a mask, and there is no picture that it belongs to"}
        elif name in mask_of:
            made["mask"] = pictures[mask_of[name]]["sample_id"]
        yield made
        yield from further(made, beside)
    for name, missing in told.items():
        yield {
            **describe(_origin(source, name), source, position, missing, None, folder=""),
            "error": f"missing: named in {missing.where}",
        }


def _lonely(row: Row, workspace: Workspace) -> Row:
    try:
        return {**row, "sample_id": workspace.keep_original(row["text"])}
    except PictureError as error:
        return {**row, "error": said(error)}


def _origin(source: Source, name: str) -> str:
    return f"{address(source).rstrip('/')}/{name}"


def _memory(source: Source, workspace: Workspace) -> Path:
    return workspace.root / "tables" / "files" / f"{digest(['remote', address(source)])[:16]}.parquet"
