import os
import pty
import re
import subprocess
import sys
import termios

from flows import progress
from flows.progress import Progress

CODE = """
import time
from flows.progress import Progress
with Progress() as shown:
    for done in range(0, 51, 10):
        shown.stage('measure', done, 50)
        if done == 20:
            shown.say('a message')
        time.sleep(0.15)
    shown.stage('train', 0, 9, 'loss 0.5')
    time.sleep(0.15)
    shown.stage('train', 3, 9, 'loss 0.25')
print('the result')
"""


def _environment(**more):
    """Ours, without settings of tqdm's."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("TQDM_")}
    return {**ours, "TERM": "xterm", **more}


def on_a_terminal(**environment):
    """What a terminal of 100 columns hears on standard error, and what comes out on standard output."""
    outer, inner = pty.openpty()
    termios.tcsetwinsize(inner, (24, 100))
    command = [sys.executable, "-c", CODE]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=inner, env=_environment(**environment), text=True)
    os.close(inner)
    heard = b""
    while True:
        try:
            heard += os.read(outer, 4096)
        except OSError:  # how Linux tells that the other side is closed
            break
    os.close(outer)
    out = child.communicate()[0]
    assert child.returncode == 0
    return heard.decode(), out


def lines_left(heard):
    """The lines that a terminal shows in the end, as far as carriage returns and blanks make them."""
    return [line.split("\r")[-1].rstrip() for line in re.sub(r"\x1b\[A", "", heard).replace("\r\n", "\n").split("\n")]


def test_a_terminal_shows_a_bar_with_rate_estimate_and_note():
    heard, out = on_a_terminal()
    bars = re.findall(r"measure: +(\d+)%\|[^|]*\| (\d+)/50 \[\d\d:\d\d<\S+, +[\d.?]+ ?(?:picture/s|s/picture)", heard)
    assert ("20", "10") in bars
    assert "step/s, loss 0.25" in heard or "s/step, loss 0.25" in heard
    assert out == "the result\n"


def test_a_message_has_a_line_of_its_own_and_no_bar_is_left():
    heard, _ = on_a_terminal()
    assert [line for line in lines_left(heard) if line] == ["a message"]


def test_no_colour_and_no_cursor_where_the_user_wants_none():
    heard, out = on_a_terminal(TERM="dumb")
    assert heard.replace("\r\n", "\n") == "a message\n"
    assert out == "the result\n"
    assert "\x1b[3" not in on_a_terminal(NO_COLOR="1")[0]


def test_a_terminal_that_goes_away_ends_nothing():
    outer, inner = pty.openpty()
    command = [sys.executable, "-c", CODE.replace("time.sleep(0.15)", "time.sleep(0.4)")]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=inner, env=_environment(), text=True)
    os.close(inner)
    os.read(outer, 10)
    os.close(outer)
    assert child.communicate() == ("the result\n", None)
    assert child.returncode == 0


def test_elsewhere_there_are_plain_lines_and_few():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stdout == "the result\n"
    assert done.stderr == "a message\n"


def test_plain_lines_of_long_work_tell_rate_time_left_and_note(monkeypatch, capsys):
    now = iter([0.0, 10.0, 20.0, 30.0, 40.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    shown = Progress()
    for done in (0, 100, 200, 300, 400):
        shown.stage("train", done, 400, f"loss 0.{done}")
    assert capsys.readouterr().err == "train: 200 of 400, 10.0 a second, 20 s left, loss 0.200\n"


def test_the_rate_of_what_goes_on_counts_only_what_it_does_itself(monkeypatch, capsys):
    now = iter([0.0, 20.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    shown = Progress()
    for done in (900, 902):
        shown.stage("train", done, 1000)
    assert capsys.readouterr().err == "train: 902 of 1000, 0.1 a second, 16 min left\n"


def test_what_is_said_stands_in_the_log(caplog, capsys):
    with caplog.at_level("INFO", "flows"):
        Progress().say("hello")
    assert [one.getMessage() for one in caplog.records] == ["hello"]


def test_a_stage_without_work_is_silent(capsys):
    Progress().stage("measure", 0, 0)
    assert capsys.readouterr().err == ""
