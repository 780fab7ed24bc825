"""LAVIS's environment: what belongs in it, whether it is there, and how it is built.

It lies inside the environment that Gesso runs in, whose Python and torch it shares: torch, torchvision and what only
those need are links, so that no second copy is fetched or kept. Everything else is pinned and hashed in
`requirements.lock`. `installed.json`, written last, says what it was built from.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from filelock import FileLock
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipeline.errors import GessoError, ModelError

HOME = Path(sys.prefix) / "lavis"
LOCK = Path(__file__).parent / "requirements.lock"
SHARED = ("torch", "torchvision")
"""What is taken from Gesso's own environment."""
BUILDERS = ("packaging", "setuptools", "wheel")
"""What the packages that have no wheel are built with; installed first, so that they too are those of the lock."""
PYTHON = (3, 11)
"""The one Python that all the pinned packages have wheels for."""
INSTALL = "gesso lavis install"
SECONDS = 600
"""How long the first import of LAVIS may take; a busy machine has been seen to take two minutes."""


@dataclass(frozen=True)
class State:
    """How the environment is: `ready`, `missing`, `stale` (built from something else) or `impossible` here."""

    name: Literal["ready", "missing", "stale", "impossible"]
    found: str
    remedy: str = ""


def state(home: Path = HOME) -> State:
    """Look at the environment, without importing anything of it."""
    if sys.version_info[:2] != PYTHON:
        shown = ".".join(map(str, sys.version_info[:2]))
        return State("impossible", f"LAVIS has no packages for Python {shown}", "Install Gesso with Python 3.11.")
    try:
        stamp = json.loads((home / "installed.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return State("missing", "LAVIS is not installed", f"The captioner lavis needs it: run `{INSTALL}`.")
    except ValueError:
        stamp = {}
    differing = [name for name, value in _wanted().items() if stamp.get(name) != value]
    if differing or not python_of(home).exists():
        shown = ", ".join(differing) or "its Python"
        return State("stale", f"LAVIS is built for another {shown}", f"Run `{INSTALL}` again.")
    return State("ready", f"LAVIS {version()}, with torch {stamp['torch']} of gesso's own environment")


def python(home: Path = HOME) -> Path:
    """The interpreter that runs LAVIS.

    Raises:
        ModelError: the environment is not ready.
    """
    now = state(home)
    if now.name != "ready":
        raise ModelError(now.found, field="caption.captioner", value="lavis", remedy=now.remedy)
    return python_of(home)


def python_of(home: Path) -> Path:
    """Where the interpreter would be."""
    return home / "bin" / "python"


def version() -> str:
    """LAVIS's version, as pinned."""
    return pins()["salesforce-lavis"]


def pins() -> dict[str, str]:
    """Version of each package of the lock, by its canonical name; for this machine or another."""
    text = LOCK.read_text(encoding="utf-8")
    return {canonicalize_name(name): pinned for name, pinned in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.M)}


def install(home: Path = HOME, *, say: Callable[[str], None]) -> None:
    """Build the environment, anew where there is one; `say` hears of every step. Needs a package index.

    Raises:
        ModelError: this Python cannot have it, or Gesso's own environment lacks torch.
        GessoError: a package cannot be had or built, or LAVIS does not import; the message ends with what was said.
    """
    now = state(home)
    if now.name == "impossible":
        raise ModelError(now.found, field="caption.captioner", value="lavis", remedy=now.remedy)
    home.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{home}.lock"):
        shutil.rmtree(home, ignore_errors=True)
        say(f"1 of 4: an environment in {home}")
        venv.create(home, symlinks=True)
        say(f"2 of 4: {len(pins())} packages of {LOCK.name}")
        builders = home / "builders.txt"
        builders.write_text("".join(_blocks(BUILDERS)), encoding="utf-8")
        for listed in (builders, LOCK):
            _uv(
                ["pip", "install", "--no-deps", "--require-hashes", "--no-build-isolation", "-r", str(listed)],
                home,
                say,
            )
        say("3 of 4: torch, from gesso's own environment")
        _share(home)
        say("4 of 4: trying it")
        _try(home)
        (home / "installed.json").write_text(json.dumps(_wanted(), indent=1), encoding="utf-8")


def _wanted() -> dict[str, str]:
    """What an environment is built from, by the name that people know it by."""
    lock = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    shared = {name: metadata.version(name) for name in SHARED}
    return {"list of packages": lock, "Python": sys.version.split()[0], **shared}


def _blocks(names: tuple[str, ...]) -> Iterator[str]:
    """The lines of the lock that are about these packages."""
    for block in re.split(r"^(?=\S)", LOCK.read_text(encoding="utf-8"), flags=re.M):
        if block.partition("==")[0] in names:
            yield block


def _uv(arguments: list[str], home: Path, say: Callable[[str], None]) -> None:
    """Run uv on the environment, passing on what it says."""
    from uv import find_uv_bin

    command = [find_uv_bin(), *arguments, "--python", str(python_of(home)), "--no-progress"]
    last: list[str] = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:  # noqa: S603 (our own arguments)
        assert process.stderr is not None  # noqa: S101 (for mypy: it was asked for)
        for line in process.stderr:
            text = line.strip()
            last = [*last, text][-8:]
            if text.startswith(("Building", "Built", "Downloading", "Prepared", "Installed", "error", "warning")):
                say(f"  {text}")
    if process.returncode:
        raise GessoError(f"LAVIS could not be installed: {' '.join(last) or f'uv ended with {process.returncode}'}")


def _share(home: Path) -> None:
    """Link what is shared into a folder that stands after the environment's own packages."""
    links = home / "shared"
    links.mkdir()
    for one in _distributions():
        for name in {file.parts[0] for file in one.files or ()} - {"..", "__pycache__"}:
            link = links / name
            if not link.is_symlink():
                link.symlink_to(Path(str(one.locate_file(name))).resolve())
    own = Path(sysconfig.get_path("purelib", "venv", vars={"base": str(home)}))
    (own / "gesso-shared.pth").write_text(f"{links}\n", encoding="utf-8")


def _distributions() -> Iterator[metadata.Distribution]:
    """What is shared, and what that needs beyond the lock."""
    waiting, seen = [Requirement(name) for name in SHARED], set(pins())
    while waiting:
        asked = waiting.pop()
        name = canonicalize_name(asked.name)
        if name in seen and not asked.extras:
            continue
        try:
            one = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # for another platform or build
        if name not in seen:
            seen.add(name)
            yield one
        for text in one.requires or ():
            needed = Requirement(text)
            extras = asked.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(needed)


def _try(home: Path) -> None:
    tried = subprocess.run(  # noqa: S603
        [str(python_of(home)), "-I", "-W", "ignore", "-c", "import lavis.models"],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    if tried.returncode:
        raise GessoError(f"LAVIS was installed but does not import: {tried.stderr.strip().splitlines()[-1:]}")
