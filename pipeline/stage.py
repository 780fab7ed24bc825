"""The stage contract, and the one function that computes the rows of a stage that are missing.

A stage is a module:

    VERSION: int                    raised when its numbers change
    KEY: tuple[str, ...]            columns that name a row: ("sample_id",), ("sample_id", "view") ...
    READS: tuple[str, ...]          columns of the request whose values the row depends on
    ADDS: pa.Schema                 the columns it computes
    Params                          frozen pydantic model of what affects the output
    run(rows, params, tools)        -> one mapping a row, with ADDS' columns or an "error" ("reason: detail")

It writes nothing itself. A row that failed is stored with its error, and not tried again. A stored row is found by its
stage, VERSION, parameters and weights (the *fingerprint*, a folder) and by its key and the values it reads (its
*inputs*). Which other rows are asked for in the same run plays no part.
"""

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa
from pydantic import BaseModel

from pipeline import execution, memory, shards
from pipeline.errors import GessoError
from pipeline.manifest import Row, digest
from pipeline.shards import Request
from pipeline.workspace import Workspace, write_table

SHARD = 256
"""Rows that are computed and committed together; batches are cut inside a shard, so that a resumed run agrees."""

Item = TypeVar("Item")
log = logging.getLogger(__name__)


class StageModule(Protocol):
    """What `ensure` needs of a stage."""

    __name__: str
    VERSION: int
    KEY: tuple[str, ...]
    READS: tuple[str, ...]
    ADDS: pa.Schema

    def run(self, rows: Sequence[Row], params: Any, tools: "Tools") -> Sequence[Mapping[str, Any]]:  # noqa: ANN401 (each stage has its own)
        """Compute the columns of `rows`, one mapping a row."""


@dataclass(frozen=True)
class StageStat:
    """What one stage did in a run."""

    name: str
    computed: int
    cached: int
    seconds: float
    peak_mib: float
    """Highest resident memory of the process since the stage before it ended, in MiB."""


@dataclass
class Tools:
    """What stages may use beside their rows."""

    workspace: Workspace
    device: str = "cpu"
    dtype: str = "float32"
    workers: int = 2
    progress: Callable[..., None] = lambda stage, done, total, note="": None  # noqa: ARG005 (names say what comes)
    advance: Callable[[int], None] = lambda rows: None  # noqa: ARG005
    """Tells how many rows of the shard at hand are done; for stages whose shards take long."""
    say: Callable[[str], None] = lambda text: None  # noqa: ARG005
    stats: list[StageStat] = field(default_factory=list)
    executor: execution.Executor = execution.LOCAL

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled, it is what a process elsewhere may use: without bars, sentences and records of this one."""
        return Tools, (self.workspace, self.device, self.dtype, self.workers)

    def read(self, sample_id: str) -> bytes:
        """The original bytes of a sample."""
        return self.workspace.read_original(sample_id)


@dataclass(frozen=True)
class Stored:
    """The rows asked of a stage, all there."""

    folder: Path
    key: tuple[str, ...]
    wanted: tuple[Request, ...]
    adds: pa.Schema
    names: pa.Array | None = None
    """`shards.names_of` the rows wanted, where somebody has them already."""

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The wanted rows in the order they were asked for: the key, the stage's columns (or some), `error`."""
        names = [*self.key, *(self.adds.names if columns is None else columns), "error"]
        if not self.wanted:
            fields = [pa.field(name, pa.string()) for name in (*self.key, "error")]
            kept = [self.adds.field(name) for name in names if name in self.adds.names]
            return pa.schema([*fields[:-1], *kept, fields[-1]]).empty_table()
        stored = shards.read(self.folder, [*names, "inputs"])
        asked = shards.names_of(self.wanted) if self.names is None else self.names
        rows = shards.rows_of(stored, self.key, asked)
        if rows.null_count:
            raise KeyError(self.wanted[rows.is_null().index(True).as_py()])
        return stored.take(rows).select(names)

    def places(self) -> list[tuple[Path, int]]:
        """File and row within it of each wanted row, for a loader that reads them one at a time.

        Good until the stage's next rows are committed, which may merge files.
        """
        found = shards.places(self.folder, self.key)
        return [found[request] for request in self.wanted]


def fingerprint(module: Any, params: BaseModel, weights: str = "") -> str:  # noqa: ANN401 (stages and measurers)
    """Name of the folder of everything computed by this version with these parameters and weights."""
    return digest([name_of(module), module.VERSION, params.model_dump(mode="json"), weights])[:16]


def name_of(module: Any) -> str:  # noqa: ANN401
    """A stage's name: its file's."""
    return str(module.__name__).rpartition(".")[2]


def requests_of(rows: Sequence[Row], key: Sequence[str], reads: Sequence[str]) -> tuple[Request, ...]:
    """The identity of each row: its key's values and the hash of what it reads."""
    alone = "" if reads else digest([])[:24]  # of a hundred thousand it would take half a second
    return tuple((*(row[name] for name in key), alone or digest([row[name] for name in reads])[:24]) for row in rows)


def ensure(
    module: StageModule,
    rows: Sequence[Row],
    params: BaseModel,
    tools: Tools,
    *,
    weights: str = "",
    cache: bool = False,
    shard: int = SHARD,
    header: Mapping[str, str] = MappingProxyType({}),
) -> Stored:
    """Make sure that a stage's rows are stored, computing those that are not, a shard at a time.

    `weights` is the hash of the model's weights; `cache` puts the shards under cache/ instead of tables/; `header` is
    written into each new shard beside the stage's version, parameters and weights, and decides nothing.
    """
    began, name = time.monotonic(), name_of(module)
    folder = tools.workspace.table_folder(name, fingerprint(module, params, weights), cache=cache)
    wanted = requests_of(rows, module.KEY, module.READS)
    names = shards.names_of(wanted)
    lacking = shards.lacking(folder, module.KEY, names)
    told = {"params": json.dumps(params.model_dump(mode="json"), sort_keys=True), "weights": weights, **header}
    todo = sorted({wanted[place]: rows[place] for place in np.flatnonzero(lacking).tolist()}.items())
    compute = partial(_compute, module, params, tools)
    for part, made in tools.executor.map(compute, cut(todo, name, tools, shard=shard)):
        commit(folder, module, [request for request, _ in part], made, header=told)
        for (request, row), one in zip(part, made, strict=True):
            if error := one.get("error"):
                warn(name, str(row.get("sample_id", request[0])), str(error))
    shards.compact(folder)
    note(tools, name, computed=len(todo), asked=len(set(wanted)), began=began)
    return Stored(folder, module.KEY, wanted, module.ADDS, names)


def _compute(
    module: StageModule, params: BaseModel, tools: Tools, part: Sequence[tuple[Request, Row]]
) -> list[Mapping[str, Any]]:
    return list(module.run([row for _, row in part], params, tools))


def cut(todo: Sequence[Item], name: str, tools: Tools, *, shard: int = SHARD) -> Iterator[Sequence[Item]]:
    """Cut what a stage has to do into shards; each counts as done when the next one is asked for."""
    total, count = len(todo), math.ceil(len(todo) / shard)
    if todo:
        tools.progress(name, 0, total)
    for number, start in enumerate(range(0, total, shard), 1):
        began, part = time.monotonic(), todo[start : start + shard]
        tools.advance = partial(_advance, tools, name, start, total)
        yield part
        seconds = time.monotonic() - began
        rate = len(part) / max(seconds, 1e-9)
        log.info("%s: shard %d of %d, %d rows, %.1f s, %.1f rows/s", name, number, count, len(part), seconds, rate)
        tools.progress(name, start + len(part), total)


def _advance(tools: Tools, name: str, start: int, total: int, rows: int) -> None:
    tools.progress(name, start + rows, total)


def warn(name: str, picture: str, error: str) -> None:
    """Log that a stage could do nothing with a picture, named by the start of its id; its row says so, too."""
    log.warning("%s: picture %s\u2026: %s", name, picture[:12], error)


def note(tools: Tools, name: str, *, computed: int, asked: int, began: float) -> None:
    """Record what a stage did."""
    seconds, peak = time.monotonic() - began, memory.peak_mib()
    tools.stats.append(StageStat(name, computed, asked - computed, round(seconds, 3), round(peak, 1)))


def commit(
    folder: Path,
    module: Any,  # noqa: ANN401 (a stage or a measurer)
    requests: Sequence[Request],
    made: Sequence[Mapping[str, Any]],
    *,
    header: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write one shard: the rows' keys and inputs, the stage's columns and `error`; `header` into its metadata.

    Raises:
        GessoError: the stage returned another number of rows, or columns or types that it does not declare.
    """
    stage = name_of(module)
    if len(made) != len(requests):
        raise GessoError(f"stage {stage} returned {len(made)} rows for {len(requests)}")
    for row in made:
        if not row.get("error") and set(row) - {"error"} != set(module.ADDS.names):
            raise GessoError(f"stage {stage} returned {sorted(row)}, not {module.ADDS.names}")
    names = (*getattr(module, "KEY", ("sample_id",)), "inputs")
    arrays = [pa.array([request[place] for request in requests]) for place in range(len(names))]
    fields = [pa.field(name, array.type) for name, array in zip(names, arrays, strict=True)]
    for column in (*module.ADDS, pa.field("error", pa.string())):
        try:
            arrays.append(pa.array([row.get(column.name) for row in made], column.type))
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise GessoError(f"stage {stage} returned what is no {column.type} as {column.name}: {error}") from error
        fields.append(column)
    told = {f"gesso_{key}": text for key, text in {"stage": stage, "version": str(module.VERSION), **header}.items()}
    shard = pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=told))
    write_table(folder / f"{digest([list(request) for request in requests])[:24]}.parquet", shard)
