"""The files of one stage's folder: rows in Parquet shards, each found by its key and the hash of its inputs.

Many small runs leave many small shards, and to open a file costs more than to read its rows. So small ones are merged
where they have become many. The merged one appears before the others go: at every moment each row is there at least
once, and twice does no harm. A reader that finds a file gone looks again.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipeline.manifest import digest, read_table, sound
from pipeline.workspace import write_table

Found = TypeVar("Found")
Request = tuple[Any, ...]
"""A row's key followed by the hash of its inputs."""
SMALL_BYTES = 2**20
"""Shards below this size are merged."""
MANY = 32
"""As many small shards are borne with; opening that many takes some 50 ms."""
LOT_BYTES = 8 * 2**20
"""Files of so many bytes are merged into one at most: all of them are in memory then."""
_ATTEMPTS = 5


def read(
    folder: Path, columns: Sequence[str], *, shape: Callable[[pa.Table], pa.Table] = lambda table: table
) -> pa.Table:
    """Some columns of all rows, those of a later shard behind those of an earlier one; no columns where no shard is.

    `shape` makes of each shard what is wanted of it, so that not all of all is in memory at once.
    """

    def everything() -> pa.Table:
        paths = _paths(folder)
        return pa.concat_tables([shape(read_table(one, columns=columns)) for one in paths]) if paths else pa.table({})

    return _patiently(everything)


def requests(folder: Path, key: Sequence[str]) -> set[Request]:
    """The identities of all rows."""
    return set(identities(read(folder, [*key, "inputs"]), key))


def names_of(requests: Sequence[Request]) -> pa.Array:
    """Identities as texts in a column, by which many are looked up at once."""
    width = len(requests[0]) if requests else 1
    return _joined([pa.array([str(one[place]) for one in requests], pa.string()) for place in range(width)])


def rows_of(table: pa.Table, key: Sequence[str], names: pa.Array) -> pa.Array:
    """The row of each identity in a table that has the key and `inputs`; null where none is."""
    if not table.num_columns:
        return pa.nulls(len(names), pa.int32())
    return pc.index_in(names, _joined([table[name].cast(pa.string()).combine_chunks() for name in (*key, "inputs")]))


def lacking(folder: Path, key: Sequence[str], names: pa.Array) -> NDArray[np.bool_]:
    """Which of some identities there is no row for."""
    return np.asarray(rows_of(read(folder, [*key, "inputs"]), key, names).is_null().to_numpy(zero_copy_only=False))


def _joined(columns: Sequence[pa.Array]) -> pa.Array:
    return pc.binary_join_element_wise(*columns, "\x1f")


def places(folder: Path, key: Sequence[str]) -> dict[Request, tuple[Path, int]]:
    """File and row within it of each identity; good until the next rows are committed, which may merge files."""

    def everything() -> dict[Request, tuple[Path, int]]:
        tables = ((path, read_table(path, columns=[*key, "inputs"])) for path in _paths(folder))
        return {one: (path, place) for path, table in tables for place, one in enumerate(identities(table, key))}

    return _patiently(everything)


def identities(table: pa.Table, key: Sequence[str]) -> Iterator[Request]:
    """The identity of each row of a table that has the key and `inputs`; none of a table without columns."""
    if table.num_columns:
        yield from zip(*(table[name].to_pylist() for name in (*key, "inputs")), strict=True)


def compact(folder: Path) -> int:
    """Merge small shards that say the same of how they were made, where they are many; returns how many went.

    To be called by who may write into the folder, so under the run's lock.
    """
    small = [path for path in _paths(folder) if path.stat().st_size < SMALL_BYTES]
    if len(small) < MANY:
        return 0
    alike: dict[bytes, list[Path]] = defaultdict(list)
    for path in small:
        with sound(path):
            alike[pq.read_schema(path).serialize().to_pybytes()].append(path)
    merged = [lot for paths in alike.values() if len(paths) >= MANY for lot in _lots(paths) if len(lot) > 1]
    for paths in merged:
        table = read_table(*paths)
        key = table.column_names[: table.column_names.index("inputs")]
        once = {request: place for place, request in enumerate(identities(table, key))}
        target = folder / f"{digest([path.name for path in paths])[:24]}.parquet"
        twice = len(once) < len(table)
        write_table(target, table.take(pa.array(once.values(), pa.int64())) if twice else table)
        for path in paths:
            path.unlink()
    return sum(map(len, merged))


def _lots(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """The files in lots of at most LOT_BYTES."""
    lot: list[Path] = []
    total = 0
    for path in paths:
        size = path.stat().st_size
        if lot and total + size > LOT_BYTES:
            yield lot
            lot, total = [], 0
        lot.append(path)
        total += size
    yield lot


def _paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


def _patiently(look: Callable[[], Found]) -> Found:
    """What `look` finds, which looks again where a file that it listed was merged into another one meanwhile."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return look()
        except FileNotFoundError:
            continue
    return look()
