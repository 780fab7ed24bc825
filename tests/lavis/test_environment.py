import json
import re
import sys

import pytest

from pipeline.errors import GessoError, ModelError
from pipeline.lavis import environment


@pytest.fixture
def built(tmp_path):
    """An environment that says of itself that it is ready."""
    environment.python_of(tmp_path).parent.mkdir(parents=True)
    environment.python_of(tmp_path).symlink_to(sys.executable)
    (tmp_path / "installed.json").write_text(json.dumps(environment._wanted()))
    return tmp_path


def stamp(built, **changes):
    path = built / "installed.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_lock_pins_and_hashes_all_names_no_index_and_leaves_torch_to_gesso():
    text = environment.LOCK.read_text()
    blocks = [block for block in re.split(r"^(?=\S)", text, flags=re.MULTILINE) if "==" in block.partition("\n")[0]]
    assert len(blocks) == len(re.findall(r"^\S+==", text, re.MULTILINE)) > 50
    assert not [block for block in blocks if "--hash=sha256:" not in block]
    assert not re.findall(r"^\s*--(?!hash=)\S+", text, re.MULTILINE)
    assert not {*environment.SHARED, "triton", "streamlit"} & set(environment.pins())
    assert {"salesforce-lavis", *environment.BUILDERS} <= set(environment.pins())
    assert len(list(environment._blocks(environment.BUILDERS))) == len(environment.BUILDERS)


def test_its_states_and_what_to_do_about_them(tmp_path, built, monkeypatch):
    assert environment.state(tmp_path / "none").name == "missing"
    assert "gesso lavis install" in environment.state(tmp_path / "none").remedy
    assert environment.state(built).name == "ready"
    assert environment.python(built) == built / "bin" / "python"
    stamp(built, torch="1.0")
    assert environment.state(built).found == "LAVIS is built for another torch"
    (built / "installed.json").write_text("{")
    assert environment.state(built).name == "stale"
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))
    assert environment.state(built).name == "impossible"
    with pytest.raises(ModelError, match=r"Python 3\.12.*Python 3\.11"):
        environment.install(built, say=print)


@pytest.mark.parametrize("gone", ["installed.json", "bin/python"])
def test_one_that_is_not_whole_is_never_run(built, gone):
    (built / gone).unlink()
    with pytest.raises(ModelError, match="gesso lavis install") as caught:
        environment.python(built)
    assert (caught.value.field, caught.value.value) == ("caption.captioner", "lavis")


def test_an_installation_that_fails_says_why_and_leaves_none(tmp_path, monkeypatch):
    lock = tmp_path / "bad.lock"
    lock.write_text("salesforce-lavis==1.0.2\n")  # no hash
    monkeypatch.setattr(environment, "LOCK", lock)
    heard = []
    with pytest.raises(GessoError, match=r"could not be installed: .*hash"):
        environment.install(tmp_path / "home", say=heard.append)
    assert heard[0].startswith("1 of 4")
    assert environment.state(tmp_path / "home").name == "missing"


def test_what_is_shared_is_torch_and_what_it_alone_needs():
    names = [one.metadata["Name"] for one in environment._distributions()]
    assert {"torch", "torchvision", "sympy"} <= set(names)
    assert len(names) == len(set(names))
    assert not set(names) & set(environment.pins())
    assert not {"transformers", "numpy", "prefect"} & set(names)
