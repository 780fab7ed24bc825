"""What `gesso weights` does with files and folders, and a line of what came out."""

from pathlib import Path

from pipeline import headers
from pipeline.errors import InputError
from pipeline.interchange import adapter, bases, show
from pipeline.interchange import extract as extraction
from pipeline.interchange import merge as merging
from pipeline.original import kinds
from pipeline.run import Run
from pipeline.workspace import MARK, Workspace


def trained(path: Path) -> Path:
    """The file or folder that is meant: of a workspace, the weights of the latest run that trained.

    A LoRA's file in diffusers' layout, a new word's file, or the folder of the trained parts.

    Raises:
        InputError: no run of the workspace has trained yet.
    """
    if not (path / MARK).is_file():
        return path
    workspace = Workspace.open(path)
    for found in sorted(workspace.runs.glob("*/training.json"), reverse=True):
        told = Run.open(workspace, found.parent.name).json("training")
        folder: Path = workspace.root / "trainings" / told["folder"] / told["weights"]
        files = sorted(folder.glob("*.safetensors"), key=lambda one: one.name == "kohya.safetensors")
        if folder.is_dir():
            return files[0] if files else folder
    raise InputError(
        "no run of this workspace has trained yet",
        field="FILE",
        value=str(path),
        remedy="Run `gesso train RECIPE` first.",
    )


def convert(source: Path, target: Path, *, layout: str | None, prediction: str | None, config: str | None) -> str:
    """Write a base model in the other form, or an adapter in the other layout."""
    source = trained(source)
    told = show.value(source)
    if "layout" in told:
        wanted = layout or ("kohya" if told["layout"] == "diffusers" else "diffusers")
        adapter.write(adapter.read(source), target, wanted)
        return f"{told['what']} in {wanted}'s layout in {target}"
    if "kind" not in told:
        raise InputError(
            f"there is nothing to convert: this is {told['what']}",
            field="SOURCE",
            value=str(source),
            remedy="Name a base model or a LoRA.",
        )
    with bases.opened(str(source), prediction=prediction, config=config) as folder:
        bases.write(target, lambda place: merging.copy(folder, place))
    return f"{told['kind']} as {'one file' if target.suffix == kinds.SUFFIX else 'a folder'} in {target}"


def merge(
    base: str, trained_by: Path, target: Path, *, scale: float, prediction: str | None, config: str | None
) -> str:
    """Write a base model with what was trained in it."""
    source = trained(trained_by)
    told = lineage(source)
    with bases.opened(base, prediction=prediction, config=config) as folder:
        if source.is_dir():
            bases.write(target, lambda place: merging.replace(folder, source, place), header=told)
            return f"the trained parts in {target}"
        found = adapter.read(source)
        bases.write(target, lambda place: merging.write(folder, found, place, scale=scale, header=told), header=told)
    return f"{len(found.all)} layers merged in {target}"


def lineage(source: Path) -> dict[str, str]:
    """What a trained file, or the first of a folder, says of where it comes from: the training set first of all."""
    path = next(iter(sorted(source.glob("*/*.safetensors"))), None) if source.is_dir() else source
    try:
        told = headers.read(path).metadata if path else {}
    except headers.HeaderError:  # told of by whoever reads the weights
        return {}
    return {name: value for name, value in told.items() if name.startswith("gesso_") and name != adapter.KEPT}


def extract(
    base: str,
    tuned: str,
    target: Path,
    *,
    rank: int | None,
    energy: float | None,
    layout: str,
    prediction: str | None,
    config: str | None,
) -> str:
    """Write what was trained as a LoRA."""
    if target.exists():
        raise InputError("it is there already", field="--to", value=str(target), remedy="Name a new file.")
    with (
        bases.opened(base, prediction=prediction, config=config) as before,
        bases.opened(tuned, prediction=prediction, config=config) as after,
    ):
        made = extraction.extract(before, after, rank=rank, energy=energy)
    adapter.write(made.adapter, target, layout)
    ranks = sorted(one.rank for one in made.adapter.all)
    left = (
        f"; {len(made.left)} biases, norms and embeddings changed, too, which a LoRA cannot hold" if made.left else ""
    )
    shown = f"rank {ranks[0]}" if ranks[0] == ranks[-1] else f"ranks {ranks[0]} to {ranks[-1]}"
    return f"{len(ranks)} layers of {shown} in {target}: {made.kept:.2%} of the change{left}"
