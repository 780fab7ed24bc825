"""Drawn pictures, recipes over them, and one Prefect server for all tests of flows."""

import hashlib
import shutil

import pytest
import yaml
from click.testing import CliRunner

from flows.cli.gesso import main
from pipeline.recipe import load
from pipeline.run import Run
from pipeline.starter import collection
from pipeline.workspace import Workspace


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


def _pictures(drawn, folder):
    """Six pictures with captions, and a file that is none."""
    folder.mkdir()
    for path in drawn.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


def _recipe(pictures):
    """A recipe whose chain takes seconds, as plain data."""
    return {
        "name": "drawn",
        "sources": [{"path": str(pictures), "rights": {"license": "CC0-1.0"}}],
        "rights": {"allow": ["CC0-1.0"]},
        "dedup": {"near": None},
        "buckets": {"resolution": 32, "step": 8},
        "train": {"steps": 2, "batch_size": 2},
        "evaluate": {"prompts": ["a circle"], "seeds": [1], "steps": 2},
    }


def _write(path, data):
    path.write_text(yaml.safe_dump(data))
    return path


@pytest.fixture
def pictures(drawn, tmp_path):
    return _pictures(drawn, tmp_path / "pictures")


@pytest.fixture
def recipe(tmp_path, pictures):
    """Writes the recipe with changes of its top keys; the path of the file."""
    return lambda **changes: _write(tmp_path / "recipe.yaml", {**_recipe(pictures), **changes})


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

    with prefect_test_harness(server_startup_timeout=240):
        yield


@pytest.fixture(scope="session")
def flow_runs(prefect):
    """The flow runs whose name ends with a text, newest last."""
    from prefect.client.orchestration import get_client

    def find(end):
        with get_client(sync_client=True) as client:
            found = [one for one in client.read_flow_runs() if one.name.endswith(end)]
        return sorted(found, key=lambda one: one.created)

    return find


@pytest.fixture(scope="session")
def finished(drawn, prefect, tmp_path_factory):
    """A folder with pictures, recipe.yaml and workspace `w`, where Prefect ran the whole chain; not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    path = _write(folder / "recipe.yaml", _recipe(_pictures(drawn, folder / "pictures")))
    done = CliRunner().invoke(main, ["run", str(path), "-w", str(folder / "w")])
    assert done.exit_code == 0, done.output
    (folder / "said.txt").write_text(done.stdout)
    return folder


@pytest.fixture
def done_run(finished):
    """The run of `finished`."""
    workspace = Workspace.open(finished / "w")
    return Run.open(workspace, workspace.latest_run().name)


@pytest.fixture
def copied(finished, tmp_path):
    """The pictures, the recipe and the workspace of `finished`, to change as one likes; sources stay where they are."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def begun(recipe, tmp_path):
    """Begins a run of a recipe with changes, in workspace `w`; nothing of it is done yet."""
    return lambda **changes: Run.create(Workspace.create(tmp_path / "w"), load(recipe(**changes)), command="a test")
