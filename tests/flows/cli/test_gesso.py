"""The command as a whole: quick, light, and with help that helps."""

import re
import shlex
import subprocess
import sys
import time
from importlib import metadata

import click
import pytest
from click.testing import CliRunner

from flows.cli.gesso import main


def commands(group=main, path=()):
    """Every command that does something, with the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def ids(value):
    return " ".join(value) if isinstance(value, tuple) else ""


def test_help_answers_in_half_a_second():
    gesso = [sys.executable, "-c", "from flows.cli.gesso import main; main()", "--help"]
    seconds = []
    for _ in range(3):
        began = time.monotonic()
        done = subprocess.run(gesso, capture_output=True, text=True, check=True)
        seconds.append(time.monotonic() - began)
        assert "Commands:" in done.stdout
    assert min(seconds) < 0.5


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["list", "nonsense"], ["serve", "recipe.yaml"]])
def test_help_and_usage_errors_load_nothing_heavy(words):
    code = (
        "import sys\n"
        "from flows.cli.gesso import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print('loaded', sorted({'torch', 'pandas', 'pydantic', 'prefect', 'pyarrow', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded []"


def test_the_console_script_is_this_command():
    (script,) = metadata.entry_points(group="console_scripts", name="gesso")
    assert script.load() is main


def test_the_overview_shows_each_command_with_a_whole_sentence():
    shown = CliRunner().invoke(main, ["--help"], terminal_width=80).output
    listed = re.search(r"Commands:\n(.*?)\n\n", shown, re.S)[1].splitlines()
    assert len(listed) == len(main.commands) > 12
    assert [line for line in listed if not line.endswith(".") or line.endswith("...")] == []
    assert (
        "Exit codes: 0 done; 1 failed; 2 bad usage, recipe or input; 3 waiting for review; 130 or 143 stopped."
        in " ".join(shown.split())
    )


@pytest.mark.parametrize(("words", "command"), commands(), ids=ids)
def test_every_command_has_an_example_that_parses(words, command):
    shown = CliRunner().invoke(main, [*words, "--help"]).output
    example = re.search(r"Example:\s+(gesso [^\n]*(?:\n  [^\n]+)*)", shown)[1]
    typed = shlex.split(example, comments=False)
    assert typed[1 : 1 + len(words)] == list(words)
    arguments = typed[1 + len(words) :]
    if ">" in arguments:
        arguments = arguments[: arguments.index(">")]
    command.make_context(" ".join(words), arguments)


@pytest.mark.parametrize(("words", "command"), commands(), ids=ids)
def test_every_option_has_its_help(words, command):
    silent = [one.name for one in command.params if isinstance(one, click.Option) and not one.help]
    assert silent == []
    assert command.help
    assert command.help.splitlines()[0].endswith(".")


def test_the_version_is_that_of_the_package():
    assert metadata.version("gesso") in CliRunner().invoke(main, ["--version"]).output


def test_an_interrupt_is_one_line_and_the_shells_exit_code(monkeypatch, tmp_path):
    from flows.cli import results

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(results, "open_run", stop)
    done = CliRunner().invoke(main, ["ledger", str(tmp_path)])
    assert done.exit_code == 130
    assert done.stderr == "gesso: stopped; what was done is kept, run the same command again to go on\n"
