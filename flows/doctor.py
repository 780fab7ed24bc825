"""`gesso doctor`: what this machine lacks for a run, and how to get it.

The quick look reads metadata, files and the network's answer, within seconds. The deep one imports torch, loads the
starter models and starts Prefect's server.
"""

import os
import shutil
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from packaging.requirements import Requirement
from packaging.version import Version

from pipeline.errors import GessoError

NEEDED_GB, USUAL_GB = 1.0, 20.0
"""Free disk below which no run is begun in earnest, and below which real models and their caches may not fit."""
HUB_SECONDS = 2.0
"""How long the hub or Prefect's server may take to answer."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: `ok`, a `note` that a run can live with, or a `problem` with its remedy."""

    name: str
    state: Literal["ok", "note", "problem"]
    found: str
    remedy: str = ""


def examine(place: Path, *, deep: bool = False) -> list[Finding]:
    """Everything there is to find, in the order in which it is best mended; `place` is where the workspace would be."""
    found = [_python(), *_packages(), _pair(), *_folder("workspace", place)]
    if not ready(found):
        return [*found, Finding("the rest", "note", "not looked at yet", "Mend the above, then look again.")]
    return [*found, *_cache(), *_starter(deep=deep), _lavis(), _device(deep=deep), _prefect(deep=deep), _hub()]


def report(found: list[Finding]) -> dict[str, Any]:
    """The findings for a script: `ready` (nothing prevents a run) and `findings`."""
    return {"ready": ready(found), "findings": [asdict(one) for one in found]}


def ready(found: list[Finding]) -> bool:
    """Whether nothing that was found prevents a run."""
    return not any(one.state == "problem" for one in found)


def words(found: list[Finding]) -> str:
    """The findings in lines, each remedy below what it is for, and a last line that says whether a run can begin."""
    width = max(len(one.name) for one in found)
    lines = []
    for one in found:
        lines.append(f"{one.state:<8} {one.name:<{width}}  {one.found}")
        lines += [f"{'':<9}{'':<{width}}  {one.remedy}"] if one.remedy else []
    problems = sum(one.state == "problem" for one in found)
    return "\n".join([*lines, "", f"{problems} to mend before a run" if problems else "ready"])


def _python() -> Finding:
    shown = ".".join(map(str, sys.version_info[:3]))
    wanted = Requirement(f"python{metadata.metadata('gesso')['Requires-Python']}").specifier
    if shown in wanted:
        return Finding("python", "ok", shown)
    return Finding("python", "problem", f"{shown}, not {wanted}", "Install Python 3.11 and run `make setup` with it.")


def _packages() -> Iterator[Finding]:
    """One line for all that are as the project asks, and one for each that is not."""
    needed = [Requirement(text) for text in metadata.requires("gesso") or ()]
    needed = [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = []
    for one in needed:
        try:
            version = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            version = ""
        if not version or not one.specifier.contains(version, prereleases=True):
            shown = f"{version} does not do" if version else "not installed"
            remedy = f"Run `make setup`, or: pip install '{one}'"
            wrong.append(Finding(f"package {one.name}", "problem", f"{shown}; {one.specifier} is needed", remedy))
    yield Finding("packages", "ok", f"{len(needed) - len(wrong)} of {len(needed)} as the project asks")
    yield from wrong


def _pair() -> Finding:
    """A CPU build of torch works with a CPU build of torchvision alone, and so for any other build."""
    builds = {}
    for name in ("torch", "torchvision"):
        try:
            builds[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            builds[name] = ""
    shown = ", ".join(f"{name} {version or 'missing'}" for name, version in builds.items())
    locals_ = {Version(version).local for version in builds.values() if version}
    if len(locals_) > 1 and "cpu" in locals_:
        return Finding("torch", "problem", f"{shown} do not fit", "Install both as CPU builds, or run `make setup`.")
    return Finding("torch", "ok" if all(builds.values()) else "problem", shown)


def _folder(name: str, place: Path) -> Iterator[Finding]:
    """Whether a folder can be written, or made, and what is free on its disk."""
    there = next(one for one in (place.absolute(), *place.absolute().parents) if one.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        problem = "cannot be written" if there.is_dir() else "is a file"
        yield Finding(name, "problem", f"{there} {problem}", "Name another folder with --workspace.")
        return
    free = shutil.disk_usage(there).free / 1e9
    shown = f"{place}, {free:.0f} GB free"
    if free < NEEDED_GB:
        yield Finding(name, "problem", f"{place}, {free:.1f} GB free", "Free some space, or name another folder.")
    elif free < USUAL_GB:
        yield Finding(name, "note", shown, "Enough for small models; Stable Diffusion takes 10 to 20 GB.")
    else:
        yield Finding(name, "ok", shown)


def _cache() -> Iterator[Finding]:
    """Where models from the hub are kept."""
    from huggingface_hub import constants

    for one in _folder("model cache", Path(constants.HF_HUB_CACHE)):
        if one.state == "problem":
            yield Finding(one.name, "note", one.found, "No model can be fetched from the hub; set HF_HOME to a folder.")
        else:
            yield one


def _starter(*, deep: bool) -> Iterator[Finding]:
    """Whether the models that come with the project are there; `deep` loads them."""
    from pipeline import model_files

    try:
        for part in model_files.PARTS:
            model_files.locate("starter", part=part)
        if deep:
            from pipeline import models

            models.load_pipeline("starter")
            models.load_clip("starter")
            models.load_blip("starter")
    except (GessoError, OSError, ValueError) as error:
        yield Finding("starter models", "problem", str(error), "Get the project again: they come with it.")
    else:
        yield Finding("starter models", "ok", "loaded" if deep else "present")


def _lavis() -> Finding:
    """The environment that the captioner lavis runs in, which nothing else needs."""
    from pipeline.lavis import environment

    now = environment.state()
    return Finding("lavis", "ok" if now.name == "ready" else "note", now.found, now.remedy)


def _device(*, deep: bool) -> Finding:
    chosen = os.environ.get("GESSO_DEVICE", "")
    said = f"; GESSO_DEVICE={chosen} is what is used" if chosen else ""
    cpu = f"none, so that models run on {os.cpu_count()} CPU cores{said}"
    remedy = "The starter models need none. Stable Diffusion takes hours without one."
    if not deep:
        if Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi"):
            return Finding("gpu", "ok", f"an NVIDIA driver is there{said}; --deep asks torch")
        return Finding("gpu", "note", cpu, remedy)
    import torch

    if not torch.cuda.is_available():
        driver = bool(shutil.which("nvidia-smi"))
        build = "This torch is built without CUDA, or for a newer driver: run `make setup`, or renew the driver."
        return Finding("gpu", "note", f"torch sees {cpu}", build if driver else remedy)
    about = torch.cuda.get_device_properties(0)
    bf16 = "bf16" if torch.cuda.is_bf16_supported() else "no bf16: train with mixed_precision fp16"
    return Finding("gpu", "ok", f"{about.name}, {about.total_memory / 2**30:.0f} GiB, {bf16}{said}")


def _prefect(*, deep: bool) -> Finding:
    """Prefect's server: the one that is named, else whether one can be started for a run."""
    address = os.environ.get("PREFECT_API_URL", "")
    without = "`--engine plain` does without it."
    if address:
        if _answers(f"{address}/health"):
            return Finding("prefect", "ok", f"its server answers at {address}")
        remedy = f"Start it with `prefect server start`, or unset PREFECT_API_URL. {without}"
        return Finding("prefect", "problem", f"no server answers at {address}", remedy)
    if not deep:
        return Finding("prefect", "ok", f"{metadata.version('prefect')}, with a server of its own for each run")
    from flows.server import server

    with tempfile.TemporaryDirectory(prefix="gesso-doctor-", ignore_cleanup_errors=True) as folder:
        try:
            with server(Path(folder)):
                return Finding("prefect", "ok", f"{metadata.version('prefect')}, its server starts")
        except GessoError:
            said = (Path(folder) / "prefect-server.log").read_text(encoding="utf-8", errors="replace").strip()
            last = said.splitlines()[-1] if said else "it said nothing"
            return Finding("prefect", "problem", f"its server does not start: {last}", without)


def _hub() -> Finding:
    from huggingface_hub import constants

    remedy = "Models that are in the cache, folders and `starter` work without it."
    if constants.HF_HUB_OFFLINE:
        return Finding("model hub", "note", "not asked, because HF_HUB_OFFLINE is set", remedy)
    if _answers(constants.ENDPOINT):
        return Finding("model hub", "ok", f"{constants.ENDPOINT} answers")
    return Finding("model hub", "note", f"{constants.ENDPOINT} does not answer", remedy)


def _answers(address: str) -> bool:
    """Whether anything speaks HTTP there, within `HUB_SECONDS`; a thread, since looking up a name knows no limit."""
    heard: list[bool] = []

    def ask() -> None:
        try:
            with urllib.request.urlopen(address, timeout=HUB_SECONDS):  # noqa: S310 (an address from the settings)
                heard.append(True)
        except urllib.error.HTTPError as error:
            heard.append(error.code < 500)
        except (OSError, ValueError):
            heard.append(False)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(HUB_SECONDS)
    return any(heard)
