"""A list of addresses of pictures: a CSV, JSONL or Parquet file with a column `url`, or a text file with one a line.

Captions and rights stand in the columns that `metadata.csv` has; without `source_url` the address is one. Each address
is fetched once: what came is remembered as it comes, so that a run that was stopped goes on, and one that is repeated
asks nobody. What failed for a reason that may pass is tried again, with longer and longer waits, and in the next run.
Addresses that are not of the public internet are refused at every hop, see `_web`; X-Robots-Tag `noai` is honoured.
"""

import csv
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from threading import Semaphore
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError, PictureError
from pipeline.manifest import Row, digest, read_table
from pipeline.settings import Fetch, Source
from pipeline.sources import _metadata
from pipeline.sources._rows import describe, further
from pipeline.sources._web import Caps, FetchError, fetch
from pipeline.workspace import Workspace, write_table

DESCRIPTION = "a list of addresses: CSV, JSONL or Parquet with a column url, or text with one a line"
ENDINGS = (".csv", ".jsonl", ".parquet", ".txt")
URL = ("url", "URL", "image_url")
"""Columns that may hold the address; LAION's lists have it in capitals."""
REMEMBERED = 1.0
"""Seconds after which it is written down what came."""
SHARE = 20
"""How many times as long as the last writing took it waits at least: a list of millions is not written all the time."""
A_HOST = 4
"""Connections to one host at a time."""
SEEN = pa.schema(
    [
        ("url", pa.string()),
        ("sample_id", pa.string()),
        ("bytes", pa.int64()),
        ("retrieved_at", pa.string()),
        ("error", pa.string()),
        ("again", pa.bool_()),  # whether it may be another the next time
    ]
)


@dataclass(frozen=True)
class Listed:
    """One address of the list, with what stands beside it."""

    url: str
    row: Mapping[str, Any]
    where: str


def check(source: Source, position: int) -> None:
    """See that there is a list.

    Raises:
        InputError: there is none, or it is of no kind that is known.
    """
    if not source.path.is_file() or source.path.suffix.lower() not in ENDINGS:
        raise InputError(
            "there is no list of addresses here",
            field=f"sources.{position}.path",
            value=str(source.path),
            remedy=f"Name a file ending in {', '.join(ENDINGS)}.",
        )


def known(source: Source, workspace: Workspace) -> Iterator[tuple[str, str | None]]:
    """Each address, with its sample id if it was fetched before; one that is known to give nothing is left out."""
    seen = _seen(source, workspace)
    for one in listed(source.path):
        last = seen.get(one.url)
        if last is None or last["again"] or last["sample_id"]:
            yield one.url, last["sample_id"] if last else None


def scan(
    source: Source,
    position: int,
    workspace: Workspace,
    *,
    on_read: Callable[[Path], object] = lambda _: None,
    progress: Callable[[int, int], object] = lambda done, total: None,  # noqa: ARG005 (names say what comes)
) -> list[Row]:
    """One row for each address, sorted; those that are new are fetched and stored.

    Raises:
        InputError: there is no list, or it cannot be understood.
    """
    check(source, position)
    told: dict[str, Listed] = {}
    for one in listed(source.path):
        if told.setdefault(one.url, one).row != one.row:
            raise InputError(
                f"two rows say different things of one address, this one and {told[one.url].where}",
                field=one.where,
                value=one.url,
                remedy="Keep one of them.",
            )
    seen = _seen(source, workspace)
    _fetch_all([url for url in told if _wanted(seen.get(url), workspace)], seen, source, workspace, on_read, progress)
    rows = []
    for url, one in told.items():
        last = seen[url]
        beside = _metadata.of_row({"source_url": url, **one.row}, one.where)
        row = describe(url, source, position, beside, None, folder=urlsplit(url).hostname or "")
        row |= {name: last[name] for name in ("sample_id", "bytes", "error")}
        row["retrieved_at"] = row["retrieved_at"] or last["retrieved_at"]
        if (last["error"] or "").startswith("objected: "):
            row |= {"ai_optout": True, "optout_source": last["error"].removeprefix("objected: ")}
        rows += [row, *further(row, beside)]
    return sorted(rows, key=lambda row: str(row["origin"]))


def listed(path: Path) -> Iterator[Listed]:
    """The addresses of a list with what their rows say.

    Raises:
        InputError: the list cannot be understood.
    """
    try:
        for number, row in _rows(path):
            where = f"{path}, line {number}"
            url = next((row[name].strip() for name in URL if isinstance(row.get(name), str) and row[name].strip()), "")
            if not url:
                raise InputError("every row needs a url", field=where, remedy="Name the address, or take the row away.")
            told = {name: row[name] for name in row if name in _metadata.NAMES and row[name] not in (None, "")}
            yield Listed(url, told, where)
    except (OSError, ValueError, csv.Error, pa.ArrowException) as error:
        raise InputError(
            f"this list cannot be read ({' '.join(str(error).split())})", field=str(path), remedy="Mend it."
        ) from error


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    match path.suffix.lower():
        case ".parquet":
            with pq.ParquetFile(path) as file:
                number = 0
                columns = [name for name in file.schema_arrow.names if name in (*URL, *_metadata.NAMES)]
                for batch in file.iter_batches(columns=columns):
                    for row in batch.to_pylist():
                        number += 1
                        yield number, row
        case ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file, strict=True)
                for row in reader:
                    yield reader.line_num, row
        case ".jsonl":
            with path.open(encoding="utf-8-sig") as file:
                for number, line in enumerate(file, start=1):
                    if line.strip():
                        row = json.loads(line)
                        yield number, row if isinstance(row, dict) else {}
        case _:
            with path.open(encoding="utf-8-sig") as file:
                for number, line in enumerate(file, start=1):
                    if line.strip() and not line.startswith("#"):
                        yield number, {"url": line.strip()}


def _memory(source: Source, workspace: Workspace) -> Path:
    return workspace.root / "tables" / "files" / f"{digest(['urls', str(source.path.resolve())])[:16]}.parquet"


def _seen(source: Source, workspace: Workspace) -> dict[str, Row]:
    place = _memory(source, workspace)
    return {row["url"]: row for row in read_table(place).to_pylist()} if place.exists() else {}


def _wanted(last: Row | None, workspace: Workspace) -> bool:
    if last is None or last["again"]:
        return True
    return last["sample_id"] is not None and not workspace.original(last["sample_id"]).exists()


def _fetch_all(
    urls: list[str],
    seen: dict[str, Row],
    source: Source,
    workspace: Workspace,
    on_read: Callable[[Path], object],
    progress: Callable[[int, int], object],
) -> None:
    """Fetch addresses, many at a time; `seen` and what is remembered of it grow as they come."""
    hosts: dict[str, Semaphore] = defaultdict(lambda: Semaphore(A_HOST))
    gates = [hosts[urlsplit(url).netloc.lower()] if _is_url(url) else Semaphore() for url in urls]
    place = _memory(source, workspace)
    done, next_time = 0, time.monotonic() + REMEMBERED

    def fetch_one(url: str, gate: Semaphore) -> Row:
        return _one(url, gate, source.fetch, workspace)

    with ThreadPoolExecutor(source.fetch.connections) as pool:
        asked: list[Future[Row]] = []
        try:
            asked += [pool.submit(fetch_one, url, gate) for url, gate in zip(urls, gates, strict=True)]
            # as they come: one that takes its time does not keep others from being remembered
            for row in (future.result() for future in as_completed(asked)):
                url = row["url"]
                seen[url] = row
                on_read(Path(PurePosixPath(unquote(urlsplit(url).path)).name if _is_url(url) else url))
                done += 1
                progress(done, len(urls))
                if time.monotonic() > next_time:
                    began = time.monotonic()
                    write_table(place, pa.Table.from_pylist(list(seen.values()), schema=SEEN))
                    now = time.monotonic()
                    next_time = now + max(REMEMBERED, SHARE * (now - began))
        finally:
            try:
                pool.shutdown(cancel_futures=True)
            finally:
                ended = (one for one in asked if one.done() and not one.cancelled() and not one.exception())
                seen |= {row["url"]: row for row in (one.result() for one in ended)}
                if asked:
                    write_table(place, pa.Table.from_pylist(list(seen.values()), schema=SEEN))
    progress(len(urls), len(urls))


def _is_url(text: str) -> bool:
    try:
        urlsplit(text)
    except ValueError:
        return False
    return True


def _one(url: str, gate: Semaphore, settings: Fetch, workspace: Workspace) -> Row:
    """Fetch one address, as often as it takes."""
    caps = Caps(settings.seconds, settings.max_bytes, frozenset(settings.private))
    row: Row = {**dict.fromkeys(SEEN.names), "url": url, "again": False}
    for attempt in range(1, settings.tries + 1):
        try:
            with gate:
                came = fetch(url, caps)
            told = {"sample_id": workspace.keep_original(came.data), "bytes": len(came.data), "error": None}
        except FetchError as error:
            row |= {"error": str(error), "again": error.again}
            if not error.again:
                break
            if attempt < settings.tries:
                # doubling, with a draw, so that many do not come back at once
                wait = max(error.wait, settings.wait * 2 ** (attempt - 1)) * random.uniform(0.75, 1.25)  # noqa: S311 (no secret)
                time.sleep(min(wait, settings.seconds))
        except PictureError as error:
            return {**row, "error": str(error), "again": False}
        else:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            return {**row, **told, "retrieved_at": now, "again": False}
    return row
