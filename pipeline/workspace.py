"""What lies where in a workspace, and how a file appears in it: complete and by rename, or not at all.

originals/<2 hex>/<sha256>        bytes as received, or a link to where they lie
tables/<stage>/<fingerprint>/     rows that a stage computed, a Parquet file a shard
decisions/<reviewer>.jsonl        what people decided
cache/<stage>/<fingerprint>/      latents and text embeddings, like tables
trainsets/<digest>/               manifest.parquet, card.md, ATTRIBUTION.md
trainings/<identity>/             checkpoints and weights
bases/<digest>/                   base models that came as single files, unpacked
tunings/<name>-<study>/           study.db, report.html, best.yaml
tombstones.jsonl                  hashes of what was forgotten
locks/                            who works here now
runs/<run id>/                    recipe.yaml, ledger.parquet, metrics.parquet, checkpoints/, report.html
"""

import hashlib
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from pipeline import atomic, tombstones
from pipeline.errors import InputError, PictureError, WorkspaceError

MARK = "gesso-workspace"
ROW_GROUP_BYTES = 2**20
"""Upper size of a Parquet row group, so that a loader reads little for one row."""


@dataclass(frozen=True)
class Workspace:
    """A local folder that holds everything gesso knows about one or several datasets."""

    root: Path

    @classmethod
    def create(cls, root: Path) -> "Workspace":
        """Open the workspace at `root`, making it where there is none.

        Raises:
            WorkspaceError: `root` is a file, a folder with other things in it, or cannot be written.
        """
        try:
            others = root.exists() and any(not atomic.is_part(path.name) for path in root.iterdir())
            if others and not (root / MARK).exists():
                raise WorkspaceError(
                    "this folder is not a gesso workspace and not empty",
                    field="--workspace",
                    value=str(root),
                    remedy="Name a new folder or an existing workspace.",
                )
            root.mkdir(parents=True, exist_ok=True)
            if not (root / MARK).exists():
                write_bytes(root / MARK, b"1\n")
        except OSError as error:
            raise WorkspaceError(
                f"the workspace cannot be written ({error.strerror})",
                field="--workspace",
                value=str(root),
                remedy="Choose a folder that you may write.",
            ) from error
        return cls(root)

    @classmethod
    def open(cls, root: Path) -> "Workspace":
        """Open an existing workspace and change nothing.

        Raises:
            WorkspaceError: there is none at `root`.
        """
        if not (root / MARK).is_file():
            raise WorkspaceError(
                "there is no gesso workspace here",
                field="--workspace",
                value=str(root),
                remedy="Run `gesso run RECIPE` first, or name the folder that it used.",
            )
        return cls(root)

    @property
    def decisions(self) -> Path:
        """Folder of the reviewers' journals."""
        return self.root / "decisions"

    @property
    def runs(self) -> Path:
        """Folder of the runs, whose names sort by time."""
        return self.root / "runs"

    @property
    def bases(self) -> Path:
        """Folder of the base models that came as single files."""
        return self.root / "bases"

    @property
    def trainsets(self) -> Path:
        """Folder of the training sets, by digest."""
        return self.root / "trainsets"

    def table_folder(self, stage: str, fingerprint: str, *, cache: bool = False) -> Path:
        """Folder of the shards that a stage wrote under a fingerprint."""
        return self.root / ("cache" if cache else "tables") / stage / fingerprint

    def computed(self, path: Path) -> bool:
        """Whether a file is one that a stage wrote and can compute again."""
        return any(path.is_relative_to(self.root / name) for name in ("tables", "cache"))

    def original(self, sample_id: str) -> Path:
        """Where the bytes of a sample lie."""
        return Path(self.original_path(sample_id))

    def original_path(self, sample_id: str) -> str:
        """The same as text: of a hundred thousand a Path takes seconds more."""
        return f"{self.root}/originals/{sample_id[:2]}/{sample_id}"

    def keep_original(self, data: bytes) -> str:
        """Store bytes under their SHA-256, which is returned; storing the same bytes again does nothing.

        Raises:
            PictureError: they were forgotten, see `tombstones`.
        """
        sample_id = self._allowed(data)
        place = self.original(sample_id)
        if place.is_symlink() or not place.exists():  # what is referred to may be gone tomorrow
            write_bytes(place, data)
        return sample_id

    def refer_original(self, path: Path, data: bytes) -> str:
        """Refer to a file of these bytes where it lies; returns their SHA-256. See `read_original`.

        Raises:
            PictureError: they were forgotten, see `tombstones`.
        """
        sample_id = self._allowed(data)
        place = self.original(sample_id)
        if not place.exists() or (place.is_symlink() and not self._refers_to(place, sample_id)):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)  # a reference to what is gone, or another by now
            with suppress(FileExistsError):
                place.symlink_to(path.resolve())
        return sample_id

    def _refers_to(self, place: Path, sample_id: str) -> bool:
        """Whether a reference still leads to the bytes of a sample."""
        try:
            return hashlib.sha256(place.read_bytes()).hexdigest() == sample_id
        except OSError:
            return False

    def _allowed(self, data: bytes) -> str:
        sample_id = hashlib.sha256(data).hexdigest()
        if sample_id in tombstones.load(self.root).samples:
            raise PictureError("forgotten", "taken out for good with `gesso forget`")
        return sample_id

    def read_original(self, sample_id: str) -> bytes:
        """The bytes of a sample.

        Raises:
            InputError: they are only referred to, and the file is gone or another one by now.
        """
        place = self.original(sample_id)
        if not place.is_symlink():
            return place.read_bytes()
        try:
            data = place.read_bytes()
        except OSError:
            data = b""
        if hashlib.sha256(data).hexdigest() != sample_id:
            raise InputError(
                "this file is gone or has changed, and the workspace only refers to it (originals: reference)",
                field=str(place.readlink()),
                remedy="Bring it back, or run the same command again, which reads it anew.",
            )
        return data

    def latest_run(self) -> Path | None:
        """The newest run's folder that has a ledger, if there is one."""
        finished = sorted(path.parent for path in self.runs.glob("*/ledger.parquet"))
        return finished[-1] if finished else None

    @contextmanager
    def hold(self, *, doing: str, wait: float = 0.0) -> Iterator[None]:
        """Be the one run that works here for the length of a with-block; what killed ones left unfinished goes first.

        `doing` is the command, for those who are refused. Reviewing and looking need no hold.

        Raises:
            WorkspaceError: another run works here for longer than `wait` seconds; the message says which process,
                where, since when and what.
        """
        with self.lock("run", wait=wait, doing=doing):
            atomic.sweep(self.root)
            yield

    @contextmanager
    def lock(self, name: str, *, wait: float = 0.0, doing: str = "") -> Iterator[None]:
        """Hold the lock `name` of this workspace, across processes, for the length of a with-block.

        The kernel gives it back when the process dies, whatever stands in the `.holder` file for others to read.

        Raises:
            WorkspaceError: someone else holds it for longer than `wait` seconds; the message says who.
        """
        place = self.root / "locks" / f"{name}.lock"
        place.parent.mkdir(parents=True, exist_ok=True)
        holder = place.with_suffix(".holder")
        lock = FileLock(place)
        try:
            lock.acquire(timeout=wait)
        except Timeout as error:
            raise WorkspaceError(
                f"the workspace is in use ({name}: {_text(holder) or 'another process'})",
                field="--workspace",
                value=str(self.root),
                remedy="Wait until it is done, stop it, or use another workspace.",
            ) from error
        try:
            since = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
            who = f"process {os.getpid()} on {platform.node()} since {since}"
            write_bytes(holder, f"{who}, {doing}\n".encode() if doing else f"{who}\n".encode())
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()


def write_bytes(path: Path, data: bytes) -> None:
    """Make `path` hold `data`, by rename."""
    with atomic.file(path) as part:
        part.write_bytes(data)


def write_table(path: Path, table: pa.Table) -> None:
    """Make `path` a Parquet file of `table`, by rename, in row groups of at most about a megabyte.

    Values of dictionaries are written out: Parquet would put the whole dictionary into each row group.
    """
    rows = max(1, ROW_GROUP_BYTES * len(table) // max(1, table.nbytes))
    kinds = [(one, one.type.value_type if pa.types.is_dictionary(one.type) else one.type) for one in table.schema]
    plain = pa.schema([one.with_type(kind) for one, kind in kinds], table.schema.metadata)
    with atomic.file(path) as part, pq.ParquetWriter(part, plain, compression="zstd", write_page_checksum=True) as out:
        for place in range(0, max(1, len(table)), rows):
            out.write_table(table.slice(place, rows).cast(plain), row_group_size=rows)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
