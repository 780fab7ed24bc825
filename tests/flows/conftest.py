"""Drawn pictures, recipes over them, and one Prefect server for all tests of flows."""

import hashlib

import pytest
import yaml
from click.testing import CliRunner

from flows.cli import main
from pipeline.starter import collection


def of_tree(folder):
    """Every path below a folder with its time of change, and the hash of what is in it."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None,
        )
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture(scope="session")
def tree():
    return of_tree


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn") / "pictures"
    collection.plain(folder, count=6)
    return folder


@pytest.fixture
def pictures(drawn, tmp_path):
    """Six pictures with captions, and a file that is none."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for path in drawn.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture
def plain(pictures):
    """The least that a recipe over the pictures says, as plain data."""
    return {
        "name": "drawn",
        "sources": [{"path": str(pictures), "rights": {"license": "CC0-1.0"}}],
        "rights": {"allow": ["CC0-1.0"]},
        "dedup": {"near": None},
        "buckets": {"resolution": 32, "step": 8},
    }


@pytest.fixture
def recipe(tmp_path, plain):
    """Writes the recipe with changes of its top keys; the path of the file."""

    def write(**changes):
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump({**plain, **changes}))
        return path

    return write


@pytest.fixture
def gesso(tmp_path, monkeypatch):
    """Types a command in the test's own folder; its result with exit_code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def type_(*words):
        return CliRunner().invoke(main, [str(word) for word in words])

    return type_


@pytest.fixture(scope="session")
def prefect():
    """A Prefect server for this process, with a database of its own."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=60):
        yield
