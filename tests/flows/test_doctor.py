import http.server
import json
import shutil
import socket
import threading
from importlib import metadata

import pytest

from flows import doctor
from pipeline import model_files


@pytest.fixture(autouse=True)
def _no_address(monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)


@pytest.fixture
def served():
    """The address of a server that answers everything with the code that it is given."""
    servers = []

    def serve(code):
        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(code)
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for one in servers:
        one.shutdown()
        one.server_close()


def of(found, name):
    return next(one for one in found if one.name == name)


def test_this_machine_can_run(tmp_path):
    found = doctor.examine(tmp_path / "w")
    assert doctor.ready(found), doctor.words(found)
    assert {"python", "packages", "torch", "workspace", "starter models", "gpu", "prefect", "model hub"} <= {
        one.name for one in found
    }
    assert not (tmp_path / "w").exists()


def test_whatever_is_no_ok_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")
    found = doctor.examine(tmp_path)
    assert all(one.remedy for one in found if one.state != "ok")


def test_a_missing_and_an_old_package_are_problems_and_nothing_else_is_tried(tmp_path, monkeypatch):
    real = metadata.version

    def version(name):
        if name == "peft":
            raise metadata.PackageNotFoundError(name)
        return "2.0" if name == "prefect" else real(name)

    monkeypatch.setattr(doctor.metadata, "version", version)
    found = doctor.examine(tmp_path)
    assert not doctor.ready(found)
    assert of(found, "package peft").found == "not installed; >=0.17 is needed"
    assert of(found, "package prefect").found.startswith("2.0 does not do; ")
    assert "pip install 'prefect" in of(found, "package prefect").remedy
    assert found[-1].name == "the rest"
    assert doctor.words(found).endswith("2 to mend before a run")


def test_a_cpu_build_of_torch_alone_breaks_torchvision(monkeypatch):
    real = metadata.version
    versions = {"torch": "2.14.1+cpu", "torchvision": "0.29.1"}
    monkeypatch.setattr(doctor.metadata, "version", lambda name: versions.get(name) or real(name))
    assert doctor._pair().state == "problem"
    versions["torchvision"] = "0.29.1+cpu"
    assert doctor._pair().state == "ok"
    versions.update(torch="2.14.1", torchvision="0.29.1")
    assert doctor._pair().state == "ok"


def test_an_old_python(monkeypatch):
    monkeypatch.setattr(doctor.sys, "version_info", (3, 10, 2, "final", 0))
    assert doctor._python().state == "problem"


@pytest.mark.parametrize(("free", "state"), [(0.5, "problem"), (5, "note"), (500, "ok")])
def test_disk_space(free, state, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1e12, 0, free * 1e9))
    (found,) = doctor._folder("workspace", tmp_path / "not" / "yet")
    assert found.state == state


def test_a_workspace_below_a_file(tmp_path):
    (tmp_path / "file").write_text("mine")
    (found,) = doctor._folder("workspace", tmp_path / "file" / "w")
    assert found.state == "problem"
    assert "is a file" in found.found


def test_starter_models_that_are_missing_or_broken(tmp_path, monkeypatch):
    assert [one.found for one in doctor._starter(deep=True)] == ["loaded"]
    shutil.copytree(model_files.STARTER, tmp_path / "starter")
    monkeypatch.setattr(model_files, "STARTER", tmp_path / "starter")
    (tmp_path / "starter" / "sd" / "unet" / "config.json").unlink()
    assert [one.state for one in doctor._starter(deep=False)] == ["problem"]
    shutil.rmtree(tmp_path / "starter" / "sd")
    assert [one.state for one in doctor._starter(deep=False)] == ["problem"]


def test_prefects_server_where_one_is_named(served, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", f"{served(200)}/api")
    assert doctor._prefect(deep=False).state == "ok"
    monkeypatch.setenv("PREFECT_API_URL", f"{served(503)}/api")
    assert doctor._prefect(deep=False).state == "problem"
    assert "--engine plain" in doctor._prefect(deep=False).remedy


def test_whether_anything_answers(served):
    assert doctor._answers(served(200))
    assert doctor._answers(served(403))
    assert not doctor._answers(served(500))
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        assert not doctor._answers(f"http://127.0.0.1:{silent.getsockname()[1]}")
        silent.listen()
        assert not doctor._answers(f"http://127.0.0.1:{silent.getsockname()[1]}")


def test_a_report_for_a_script(tmp_path):
    found = [doctor.Finding("one", "ok", "fine"), doctor.Finding("two", "problem", "bad", "mend it")]
    told = json.loads(json.dumps(doctor.report(found)))
    assert told["ready"] is False
    assert told["findings"][1] == {"name": "two", "state": "problem", "found": "bad", "remedy": "mend it"}
    assert doctor.words(found).splitlines() == [
        "ok       one  fine",
        "problem  two  bad",
        "              mend it",
        "",
        "1 to mend before a run",
    ]


@pytest.mark.slow
def test_the_deep_look_starts_prefects_server(monkeypatch):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings(set_defaults={PREFECT_API_URL: None}):
        assert doctor._prefect(deep=True).found.endswith("its server starts")


def test_lavis_is_looked_at_and_prevents_nothing(tmp_path, monkeypatch):
    from pipeline.lavis import environment

    monkeypatch.setattr(environment, "_wanted", lambda: {"torch": "of another machine"})
    found = of(doctor.examine(tmp_path), "lavis")
    assert (found.state, "gesso lavis install" in found.remedy) == ("note", True)
