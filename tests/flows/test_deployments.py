"""`gesso serve` as a user types it: a schedule fires, a run finds nothing new, Ctrl-C ends it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from threading import Timer

import pytest

SECONDS = 300


@pytest.fixture
def server_settings(tmp_path):
    """No server of anyone else's, and a runner that looks often."""
    others = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    return others | {"PREFECT_HOME": str(tmp_path / "prefect"), "PREFECT_RUNNER_POLL_FREQUENCY": "1"}


def ask(address, kind):
    request = urllib.request.Request(  # noqa: S310 (our own server)
        f"{address}/{kind}/filter", b"{}", {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 (the same)
        return json.load(answer)


def listen(child, pattern):
    """The match of the first line of its stderr that fits."""
    heard = []
    for line in child.stderr:
        heard.append(line)
        if found := re.search(pattern, line):
            return found
    pytest.fail(f"nothing like {pattern!r} (no run at all: SQLAlchemy 2.1 breaks Prefect 3.8's scheduler) in {heard}")


def first_skipped(address):
    """The state of the first run that was skipped; the server hears of it a little after the run has said so."""
    for _ in range(100):
        for run in ask(address, "flow_runs"):
            if run["state"]["name"] == "Skipped":
                return run["state"]
        time.sleep(0.3)
    return pytest.fail("the server knows of no run that was skipped")


@pytest.mark.slow
def test_a_schedule_fires_and_unchanged_data_is_skipped(copied, server_settings, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    words = ["serve", copied / "recipe.yaml", "-w", copied / "w", "--every", "3"]
    # what starts the tests in the background has Ctrl-C ignored
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    gesso = [sys.executable, "-c", f"{heard}; from flows.cli.gesso import main; main()", *words]
    began = time.monotonic()
    with subprocess.Popen(gesso, cwd=elsewhere, env=server_settings, stderr=subprocess.PIPE, text=True) as child:
        timer = Timer(SECONDS, child.terminate)
        timer.start()
        try:
            address = listen(child, r"re-training .*recipe\.yaml every 3 s; Prefect's server: (\S+);")[1]
            reason = listen(child, r"retrain: (skipped, because run \S+ has trained on .*)")[1]
            skipped = first_skipped(address)
            (deployment,) = ask(address, "deployments")
            child.send_signal(signal.SIGINT)
            rest = child.stderr.read()
            assert child.wait(30) == 0
        finally:
            timer.cancel()
            child.kill()
    assert skipped["message"] == reason
    assert skipped["type"] == "COMPLETED"
    assert "Traceback" not in rest
    assert not deployment["paused"]
    assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert deployment["global_concurrency_limit"]["limit"] == 1
    assert time.monotonic() - began < SECONDS
    with pytest.raises(OSError, match="refused"):
        ask(address, "flow_runs")
