import os
import subprocess
import sys
import time
import urllib.request

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows import server as module
from flows.server import Served, answers, reached, server
from pipeline.errors import GessoError


def test_a_server_that_is_named_is_used(tmp_path):
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}), server(tmp_path) as address:
        assert address == "http://127.0.0.1:1/api"
    assert list(tmp_path.iterdir()) == []


def test_the_server_that_knows_a_workspace_is_named_or_told_of(tmp_path, prefect):
    address = PREFECT_API_URL.value()
    with reached(tmp_path) as found:
        assert found == address
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        Served(address, own=True).write(tmp_path)
        with reached(tmp_path) as found:
            assert found == address == PREFECT_API_URL.value()
        Served("http://127.0.0.1:1/api", own=False).write(tmp_path)
        with pytest.raises(GessoError, match="does not answer"), reached(tmp_path):
            pass
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:1/api"}),
        pytest.raises(GessoError, match="does not answer"),
        reached(tmp_path),
    ):
        pass


def test_one_that_does_not_start_says_where_its_log_is(tmp_path, monkeypatch):
    monkeypatch.setattr(module.sys, "executable", "/bin/false")
    with (
        temporary_settings(restore_defaults={PREFECT_API_URL}),
        pytest.raises(GessoError, match=r"did not start; why is in .*prefect-server\.log"),
        server(tmp_path),
    ):
        pass


@pytest.mark.slow
def test_one_of_our_own_answers_and_ends_with_the_block(tmp_path):
    with temporary_settings(restore_defaults={PREFECT_API_URL}), server(tmp_path) as address:
        assert PREFECT_API_URL.value() == address
        with urllib.request.urlopen(f"{address}/health") as answer:  # noqa: S310 (our own server)
            assert answer.status == 200
    assert (tmp_path / "prefect.db").exists()
    # gone, but our own: another is started on its database
    Served(address, own=True).write(tmp_path)
    with temporary_settings(restore_defaults={PREFECT_API_URL}), reached(tmp_path) as again:
        assert answers(again)
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"{address}/health", timeout=5)  # noqa: S310 (our own server)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parents")
def test_it_ends_even_when_its_owner_is_killed(tmp_path):
    code = (
        "import sys, time, pathlib\n"
        "from flows.server import server\n"
        "with server(pathlib.Path('.')) as address: print(address, flush=True); time.sleep(60)"
    )
    others = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    words = [sys.executable, "-c", code]
    with subprocess.Popen(words, cwd=tmp_path, env=others, stdout=subprocess.PIPE, text=True) as owner:
        address = owner.stdout.readline().strip()
        owner.kill()
    for _ in range(100):
        try:
            urllib.request.urlopen(f"{address}/health", timeout=5).close()  # noqa: S310 (our own server)
        except OSError:
            return
        time.sleep(0.1)
    pytest.fail("the server lives on")
