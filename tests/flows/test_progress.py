import os
import pty
import re
import subprocess
import sys
import termios

from flows import progress
from flows.progress import Progress

CODE = (
    "import time\n"
    "from flows.progress import Progress\n"
    "shown = Progress()\n"
    "for done in range(0, 51, 10): shown.stage('measure', done, 50); time.sleep(0.15)\n"
    "shown.say('measure: 50 contents')\n"
)


def _environment():
    """Ours, without settings of tqdm's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TQDM_")}


def test_a_terminal_shows_a_bar_with_rate_and_estimate():
    outer, inner = pty.openpty()
    termios.tcsetwinsize(inner, (24, 100))
    child = subprocess.Popen([sys.executable, "-c", CODE], stderr=inner, env=_environment())
    os.close(inner)
    heard = b""
    while True:
        try:
            heard += os.read(outer, 4096)
        except OSError:  # how Linux tells that the other side is closed
            break
    os.close(outer)
    assert child.wait() == 0
    text = heard.decode()
    bars = re.findall(r"measure: +(\d+)%\|[^|]*\| (\d+)/50 \[\d\d:\d\d<\S+, +[\d.?]+ ?(?:row/s|s/row)", text)
    assert ("20", "10") in bars
    assert text.rstrip().endswith("measure: 50 contents")


def test_elsewhere_there_are_plain_lines_and_few():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr == "measure: 50 contents\n"


def test_plain_lines_of_long_work_tell_rate_and_time_left(monkeypatch, capsys):
    now = iter([0.0, 10.0, 20.0, 30.0, 40.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    shown = Progress()
    for done in (0, 100, 200, 300, 400):
        shown.stage("measure", done, 400)
    assert capsys.readouterr().err == "measure: 200 of 400, 10.0 a second, 20 s left\n"


def test_a_stage_without_work_is_silent(capsys):
    Progress().stage("measure", 0, 0)
    assert capsys.readouterr().err == ""
