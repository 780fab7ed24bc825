"""Our folder `datasets/` must not stand in for Hugging Face's library of that name.

A folder without an `__init__.py` is a namespace portion, which Python takes only if no regular package of that name is
anywhere on its path. So the library is a dependency, and the folder never gets an `__init__.py`.
"""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROBE = """
import importlib.metadata, importlib.util, json, sys
spec = importlib.util.find_spec("datasets")
print(json.dumps({"origin": spec and spec.origin, "version": importlib.metadata.version("datasets")}))
"""


@pytest.fixture(params=["repository", "elsewhere"])
def folder(request, tmp_path):
    """The repository's root, and a folder with the same trap for when the repository's own is moved."""
    if request.param == "repository":
        return ROOT
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "photos.yaml").write_text("name: photos\n")
    return tmp_path


def ask(command, cwd):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def is_the_library(found):
    return found["version"] == version("datasets") and "site-packages" in Path(found["origin"] or "").parts


def test_python_c_finds_the_library(folder):
    assert is_the_library(ask([sys.executable, "-c", PROBE], folder))


def test_python_m_finds_the_library(folder, tmp_path_factory, monkeypatch):
    package = tmp_path_factory.mktemp("path")
    (package / "gesso_probe.py").write_text(PROBE)
    monkeypatch.setenv("PYTHONPATH", str(package))
    assert is_the_library(ask([sys.executable, "-m", "gesso_probe"], folder))


def test_a_console_script_finds_the_library(folder, tmp_path_factory):
    # like the `gesso` command: a file elsewhere, started here, with the repository on the path by its installation
    script = tmp_path_factory.mktemp("bin") / "script"
    script.write_text(f"import sys; sys.path.append({str(folder)!r})\n{PROBE}")
    assert is_the_library(ask([sys.executable, str(script)], folder))


def test_it_can_be_imported_and_libraries_that_probe_for_it_are_right():
    probe = """
import json, datasets
from accelerate.utils.imports import is_datasets_available as accelerate_sees
from transformers.utils import is_datasets_available as transformers_sees
print(json.dumps({"origin": datasets.__file__, "version": datasets.__version__,
                  "seen": [accelerate_sees(), transformers_sees()],
                  "table": datasets.Dataset.from_dict({"a": [1]})[0]}))
"""
    found = ask([sys.executable, "-c", probe], ROOT)
    assert is_the_library(found)
    assert found["seen"] == [True, True]
    assert found["table"] == {"a": 1}


def test_the_trap_is_real(tmp_path):
    # what these tests would see if someone gave the folder an __init__.py
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "__init__.py").touch()
    assert not is_the_library(ask([sys.executable, "-c", PROBE], tmp_path))


def test_the_folder_holds_no_code():
    assert not sorted((ROOT / "datasets").rglob("*.py"))
