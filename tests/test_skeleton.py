"""What holds for the repository as a whole."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
MODULES = sorted(path.relative_to(ROOT) for folder in ("pipeline", "flows") for path in (ROOT / folder).rglob("*.py"))


def run(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def files():
    """What is tracked or would be, as paths."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    return [path for name in listed if name and (path := ROOT / name).is_file()]


def pins():
    """Name, version and hashes of each line of the lock."""
    text = (ROOT / "requirements.lock").read_text()
    blocks = re.findall(
        r"^([^\s#]+)==([^\s;]+)[^\n]*((?:\n    --hash=sha256:[0-9a-f]{64}(?: \\)?)*)", text, re.MULTILINE
    )
    return {(name, version): hashes.count("--hash") for name, version, hashes in blocks}


@pytest.mark.parametrize("module", ["pipeline", "flows", "pipeline.errors"])
def test_importing_the_package_loads_nothing_heavy(module):
    heavy = run(sys.executable, "-c", f"import sys, {module}; print(sorted({{'torch', 'prefect'}} & set(sys.modules)))")
    assert heavy.strip() == "[]"


def test_no_file_names_a_registry_or_a_home():
    # the words are put together here, or this file would find itself
    words = [
        "pypi" + r"\.org",
        "python" + r"hosted\.org",
        "download" + r"\.pytorch\.org",
        "(?<!no-emit-)index" + "-url",
    ]
    homes = ["/" + r"root/\w", "/" + r"home/\w", "/" + r"Users/\w", r"[A-Z]:\\" + r"Users\\"]
    pattern = re.compile("|".join(words + homes))
    found = []
    for path in files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{n}: {line[:100]}" for n, line in enumerate(lines, 1) if pattern.search(line)
        ]
    assert not found


def test_every_pin_has_hashes():
    pinned = pins()
    lines = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if re.match(r"[^\s#]", line)]
    assert len(pinned) == len(lines) > 100
    assert not [name for name, hashes in pinned.items() if not hashes]


def test_the_lock_names_no_index():
    assert not re.findall(r"^\s*--(?!hash=)\S+", (ROOT / "requirements.lock").read_text(), re.MULTILINE)


def test_the_lock_holds_what_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [Requirement(text) for text in project["dependencies"] + project["optional-dependencies"]["dev"]]
    pinned = {canonicalize_name(name): version for name, version in pins()}
    missing = [
        str(wanted)
        for wanted in asked
        if not wanted.specifier.contains(pinned.get(canonicalize_name(wanted.name), "0"), prereleases=True)
    ]
    assert not missing, "run `make lock`"


def test_no_file_is_large():
    # the starter's UNet is 8 MB: without it there is nothing to run offline
    large = [str(path) for path in files() if path.stat().st_size > 6_000_000]
    assert all("starter/weights/sd/unet" in path for path in large)
    assert sum(path.stat().st_size for path in files() if "starter/weights" in str(path)) < 40_000_000


def test_no_module_is_long():
    assert not [str(module) for module in MODULES if len((ROOT / module).read_text().splitlines()) > 300]


def test_packages_hold_no_code_of_their_own():
    packages = [module for module in MODULES if module.name == "__init__.py"]
    defined = (ast.FunctionDef, ast.ClassDef)
    assert not [
        str(p) for p in packages if any(isinstance(n, defined) for n in ast.walk(ast.parse((ROOT / p).read_text())))
    ]


def mirror(module):
    """Where a module's test is: `pipeline/a/b.py` -> `tests/a/test_b.py`, `flows/c.py` -> `tests/flows/test_c.py`."""
    folder = Path(*module.parts[1:-1]) if module.parts[0] == "pipeline" else module.parent
    return Path("tests") / folder / f"test_{module.name}"


def test_every_module_has_its_test():
    modules = [module for module in MODULES if module.name != "__init__.py"]
    assert not [str(mirror(module)) for module in modules if not (ROOT / mirror(module)).is_file()]


def test_make_tells_its_targets():
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert re.findall(r"^make (\w+) +\S", run("make", "help"), re.MULTILINE) == phony[1].split()


def test_ci_is_a_script_that_stops_at_errors():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "set -euo pipefail" in script.read_text()
    run("bash", "-n", str(script))
