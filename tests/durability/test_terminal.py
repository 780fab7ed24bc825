"""Ctrl-C in a terminal while a Prefect run trains: a clear end, and the next run ends as if nothing had happened."""

import os
import pty
import re
import select
import signal
import sys
import time

import pytest
import yaml
from click.testing import CliRunner

from flows.cli.gesso import main
from pipeline.starter import collection
from pipeline.training import checkpoints

SECONDS = 300
GESSO = [sys.executable, "-c", "from flows.cli.gesso import main; main()"]


@pytest.fixture
def asked(tmp_path):
    """A recipe that is done within seconds, but for its training, which takes a few more."""
    collection.plain(tmp_path / "pictures", count=5)
    recipe = {
        "name": "interrupted",
        "sources": [{"path": str(tmp_path / "pictures"), "rights": {"license": "CC0-1.0"}}],
        "rights": {"allow": ["CC0-1.0"]},
        "dedup": {"near": None},
        "buckets": {"resolution": 32, "step": 8},
        "train": {"steps": 150, "batch_size": 2, "checkpoint_every": 10, "keep_checkpoints": 1, "rank": 2},
        "evaluate": {"prompts": [], "every": 0},
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def typed(words, *, press_at):
    """Type a command into a terminal of its own, press Ctrl-C there at `press_at()`: exit code and what it showed."""
    child, terminal = pty.fork()
    if not child:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # what starts the tests in the background has it ignored
        os.execvpe(words[0], words, {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"})  # noqa: S606 (our own words)
    shown, pressed, ends = b"", False, time.monotonic() + SECONDS
    try:
        while time.monotonic() < ends:
            if not pressed and press_at():
                os.write(terminal, b"\x03")
                pressed = True
            if select.select([terminal], [], [], 0.05)[0]:
                try:
                    shown += os.read(terminal, 65536)
                except OSError:  # Linux's word for the other side being gone
                    break
        assert pressed, shown.decode()
    finally:
        os.close(terminal)  # which hangs up on whoever is still there
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown.decode()


def outcome(workspace):
    """What a run decided: the bytes of its weights and its training set's name."""
    (weights,) = workspace.glob("trainings/*/weights/pytorch_lora_weights.safetensors")
    return weights.read_bytes(), [path.name for path in workspace.glob("trainsets/*")]


def test_ctrl_c_in_a_terminal_ends_clearly_and_the_next_run_ends_the_same(asked, tmp_path):
    words = ["run", str(asked), "-w", str(tmp_path / "w")]
    code, shown = typed([*GESSO, *words], press_at=lambda: list(tmp_path.glob("w/trainings/*/checkpoints/step-*")))
    assert code == 130, shown
    lines = [
        line for line in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown).replace("\r", "\n").split("\n") if line.strip()
    ]
    assert lines[-1].strip() == "gesso: stopped; what was done is kept, run the same command again to go on"
    assert "Traceback" not in shown
    (training,) = tmp_path.glob("w/trainings/*")
    assert 10 <= checkpoints.latest(training).step < 150
    for folder in ("w", "undisturbed"):
        plain = [*words[:2], "-w", str(tmp_path / folder), "--engine", "plain"]
        done = CliRunner().invoke(main, plain, catch_exceptions=False)
        assert done.exit_code == 0, done.output
    assert outcome(tmp_path / "w") == outcome(tmp_path / "undisturbed")
