import subprocess
import sys

import pytest

from pipeline import plugins
from pipeline.errors import RecipeError


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A kind of plug-ins with two of them, below `pipeline`."""
    import pipeline

    folder = tmp_path / "toys"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "kite.py").write_text("NAME = 'kite'")
    (folder / "broken.py").write_text("raise RuntimeError('imported')")
    (folder / "_helper.py").write_text("")
    (folder / "notes.txt").write_text("")
    monkeypatch.setattr(pipeline, "__path__", [*pipeline.__path__, str(tmp_path)])
    yield "toys"
    for name in [name for name in sys.modules if name.startswith("pipeline.toys")]:
        del sys.modules[name]


def test_a_file_is_a_plug_in_and_is_found_without_being_imported(package):
    assert plugins.names(package) == ["broken", "kite"]
    assert plugins.load(package, "kite", field="x").NAME == "kite"


def test_all_of_a_kind(package, tmp_path):
    (tmp_path / "toys" / "broken.py").unlink()
    assert {name: module.NAME for name, module in plugins.load_all(package).items()} == {"kite": "kite"}


def test_an_unknown_name_suggests_the_nearest_or_lists_all(package):
    with pytest.raises(RecipeError, match=r"caption\.toy: there is no such toy .*Did you mean 'kite'"):
        plugins.load(package, "kites", field="caption.toy")
    with pytest.raises(RecipeError, match="There are: broken, kite"):
        plugins.load(package, "_helper", field="caption.toy")


def test_a_plug_in_tells_its_facts_without_being_imported(package, tmp_path):
    (tmp_path / "toys" / "broken.py").write_text(
        "ONE = 1\nBOTH: tuple = ('a', None)\nNONE: int\nMADE = open\nraise RuntimeError('imported')"
    )
    assert plugins.facts(package, "broken") == {"ONE": 1, "BOTH": ("a", None)}


@pytest.mark.parametrize("kind", ["methods", "metrics", "captioners"])
def test_facts_are_those_of_the_module(kind):
    for name, module in plugins.load_all(kind).items():
        told = plugins.facts(kind, name)
        assert told["DESCRIPTION"]
        assert all(value == getattr(module, constant) for constant, value in told.items())


@pytest.mark.parametrize("kind", plugins.KINDS)
@pytest.mark.parametrize("name", ["", "../errors", "__init__", "errors", "nothing.like.it"])
def test_no_name_reaches_outside_its_folder(kind, name):
    with pytest.raises(RecipeError, match=f"no such {kind.removesuffix('s')}"):
        plugins.load(kind, name, field="x")


def test_listing_loads_neither_torch_nor_the_plug_ins():
    code = (
        "import sys; from pipeline import plugins; [plugins.names(kind) for kind in plugins.KINDS]\n"
        "print('torch' in sys.modules, 'pipeline.scorers.sharpness' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"


def test_default_limits_are_those_that_the_scorers_say():
    said = {
        column: limit
        for one in plugins.load_all("scorers").values()
        for column, limit in getattr(one, "LIMITS", {}).items()
    }
    assert plugins.limits() == said
    assert said["exposure__p99"] == {"min": 0.32}
