"""Base models where a command needs them as folders, and where they are written: as a folder, or as a single file."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pipeline import model_files
from pipeline.errors import InputError
from pipeline.original import kinds, pack, single


@contextmanager
def opened(reference: str, *, prediction: str | None = None, config: str | None = None) -> Iterator[Path]:
    """The folder of a base model; a single file is unpacked for the length of a with-block.

    Raises:
        ModelError: it is not there, or no whole base model.
    """
    if not kinds.is_file(reference):
        yield model_files.locate(reference, field="BASE")
        return
    with tempfile.TemporaryDirectory(prefix="gesso-") as place:
        yield single.ensure(reference, Path(place), prediction=prediction, config=config)


def write(target: Path, make: Callable[[Path], object], *, header: Mapping[str, str] | None = None) -> None:
    """Let `make` write a base model's folder: `target` itself, or what becomes the single file `target`, with `header`.

    Raises:
        InputError: `target` is there already.
    """
    if target.exists():
        raise InputError("it is there already", field="--to", value=str(target), remedy="Name a new folder or file.")
    if target.suffix != kinds.SUFFIX:
        make(target)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gesso-", dir=target.parent) as place:
        make(Path(place) / "model")
        pack.write(Path(place) / "model", target, header=header)
