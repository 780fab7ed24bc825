import os
from pathlib import Path

from flows import settings
from pipeline.workspace import Workspace


def test_the_workspace_is_as_given_else_of_the_environment_else_named_by_the_recipe(monkeypatch):
    assert settings.workspace_path(None, "dogs") == Path("work/dogs")
    monkeypatch.setenv("GESSO_WORKSPACE", "elsewhere")
    assert settings.workspace_path(None, "dogs") == Path("elsewhere")
    assert settings.workspace_path("here", "dogs") == Path("here")


def test_the_device_is_that_of_the_environment_else_found_out_by_who_loads_a_model(monkeypatch):
    monkeypatch.setenv("GESSO_DEVICE", "mps")
    assert settings.device() == "mps"
    monkeypatch.delenv("GESSO_DEVICE")
    assert settings.device() == "auto"


def test_tools_speak_on_the_terminal(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("GESSO_DEVICE", "cpu")
    with settings.tools(Workspace.create(tmp_path / "w")) as tools:
        tools.say("hello")
        assert tools.workers == os.cpu_count()
    assert capsys.readouterr().err == "hello\n"


def test_quiet_leaves_what_a_user_has_set(monkeypatch):
    monkeypatch.setenv("DIFFUSERS_VERBOSITY", "info")
    monkeypatch.delenv("DO_NOT_TRACK", raising=False)
    settings.quiet()
    assert os.environ["DIFFUSERS_VERBOSITY"] == "info"
    assert os.environ["DO_NOT_TRACK"] == "1"


def test_quiet_keeps_prefects_machinery_from_the_terminal():
    settings.quiet()
    from prefect.settings import PREFECT_INTERNAL_LOGGING_LEVEL

    assert PREFECT_INTERNAL_LOGGING_LEVEL.value() == "CRITICAL"
