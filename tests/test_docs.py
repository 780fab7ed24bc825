"""The pages say what is so: their commands run, their output is what comes out, their links lead somewhere.

docs/commands.md is written by `python tests/test_docs.py`.
"""

import inspect
import json
import os
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

from flows.cli.gesso import main

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
REFERENCE = ROOT / "docs" / "commands.md"
ENDLESS = {
    "gesso serve": "serves until it is stopped (tests/flows/test_deployments.py)",
    "gesso review serve": "serves until it is stopped (tests/flows/test_review_page.py)",
    "gesso demo": "takes minutes (tests/flows/test_demo.py)",
    "gesso starter build": "takes hours (tests/starter/test_build.py)",
    "gesso lavis install": "takes a minute (tests/conftest.py does it, where it must)",
    "gesso doctor --deep": "starts a server (tests/flows/test_doctor.py)",
    "prefect server start": "serves until it is stopped",
    "make": "installs; its targets are looked up",
}
"""Commands that are not run, only parsed, and why."""
SMALL = {
    "buckets": {"resolution": 32, "step": 8},
    "train": {"method": "lora", "rank": 2, "steps": 2, "batch_size": 2, "checkpoint_every": 1},
    "evaluate": {"prompts": ["a photo of a dog"], "seeds": [1], "steps": 2},
}
"""What makes datasets/photos.yaml quick; all else of it is as it stands."""


@dataclass(frozen=True)
class Command:
    """A command of a page, with the exit code and the lines of output that the page gives it."""

    text: str
    code: int
    shown: tuple[str, ...] = ()


def commands_of(page):
    """The commands in a page's fenced blocks; after `$ ` a command stands with its output, else alone."""
    found = []
    for block in re.findall(r"^```\w*\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
        prompted = block.startswith("$ ")
        for line in block.splitlines():
            if prompted and not line.startswith("$ "):
                last = found.pop()
                found.append(Command(last.text, last.code, (*last.shown, line)))
            elif re.match(r"(\$ )?([A-Z_]+=\S+ )*(\.venv/bin/)?(gesso|make|prefect)\b", line):
                text, _, comment = line.removeprefix("$ ").partition("  #")
                code = re.search(r"exit code (\d+)", comment)
                found.append(Command(text.strip().replace(".venv/bin/", ""), int(code[1]) if code else 0))
    return found


def endless(text):
    return next((why for start, why in ENDLESS.items() if re.match(rf"([A-Z_]+=\S+ )*{start}\b", text)), None)


def leaves(group=main, path=()):
    """Every command that does something, with the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name), command


def parse(words):
    """Have click read the words of a gesso command; the words that called it, without arguments."""
    command, called = main, []
    words = words[: words.index(">")] if ">" in words else words
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command, called, words = command.commands[words[0]], [*called, words[0]], words[1:]
    if words and words not in (["--help"], ["--version"]):
        assert not isinstance(command, click.Group), f"no command: {' '.join(words)}"
        command.make_context(" ".join(called), list(words))
    return called


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder as the pages have it: my-photos, datasets, and work/photos where the README's command ran."""
    from pipeline.starter import pictures

    folder = tmp_path_factory.mktemp("home")
    (folder / "my-photos").mkdir()
    for seed in range(24):
        drawn = pictures.picture(seed, side=256)
        name = "dog" if seed == 0 else f"{seed:02d}"
        Image.fromarray(drawn.pixels).save(folder / "my-photos" / f"{name}.jpg", quality=95)
        (folder / "my-photos" / f"{name}.txt").write_text(drawn.caption)
    (folder / "my-photos" / "cut.jpg").write_bytes((folder / "my-photos" / "05.jpg").read_bytes()[:3000])
    (folder / "my-photos" / "copy.jpg").write_bytes((folder / "my-photos" / "07.jpg").read_bytes())
    recipe = yaml.safe_load((ROOT / "datasets" / "photos.yaml").read_text(encoding="utf-8"))
    (folder / "words.txt").write_text("red\nblue\ncircle\n", encoding="utf-8")
    (folder / "datasets").mkdir()
    (folder / "datasets" / "photos.yaml").write_text(yaml.safe_dump({**recipe, **SMALL}), encoding="utf-8")
    shutil.copy(ROOT / "datasets" / "domain.yaml", folder / "datasets")
    done = type_(folder, "gesso run datasets/photos.yaml --set sources.0.path=my-photos")
    assert done.exit_code == 0, done.output
    return folder


def type_(folder, text):
    """Type a command in a folder, without Prefect and, where it comes to that, without a spreadsheet between."""
    words = shlex.split(text)
    environment = dict(one.split("=", 1) for one in words[: words.index("gesso")])
    words = words[words.index("gesso") + 1 :]
    to = words[words.index(">") + 1] if ">" in words else None
    words = words[: words.index(">")] if to else words
    if (
        words[0] in ("run", "prepare", "train", "evaluate", "tune")
        and "--engine" not in words
        and "--help" not in words
    ):
        words += ["--engine", "plain"]
    before = Path.cwd()
    os.chdir(folder)
    try:
        done = CliRunner(env=environment).invoke(main, words)
        if to:
            Path(to).write_text(done.stdout, encoding="utf-8")
    finally:
        os.chdir(before)
    return done


def agrees(shown, output):
    """Whether each line that a page shows comes in the output, in this order; … stands for anything in a line."""
    lines = iter(line.rstrip() for line in output.splitlines())
    for line in shown:
        pattern = ".*".join(re.escape(part) for part in line.rstrip().split("…"))
        if line.strip() and not any(re.fullmatch(pattern, one) for one in lines):
            return line
    return None


@pytest.mark.parametrize("page", [one for one in PAGES if commands_of(one)], ids=lambda page: page.name)
def test_the_commands_of_a_page_run_in_order(page, home, tmp_path, monkeypatch):
    monkeypatch.setenv("USER", "me")
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    folder = tmp_path / "home"
    shutil.copytree(home, folder)
    for command in commands_of(page):
        if endless(command.text):
            continue
        done = type_(folder, command.text)
        assert done.exit_code == command.code, f"{command.text}\n{done.output}"
        assert done.exception is None or isinstance(done.exception, SystemExit)
        assert agrees(command.shown, done.output) is None, f"{command.text}\n{done.output}"


def test_commands_that_are_not_run_are_ones_that_there_are():
    targets = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.M)[1].split()
    for page in PAGES:
        for command in commands_of(page):
            words = [word for word in shlex.split(command.text) if not re.match(r"[A-Z_]+=", word)]
            if words[0] == "make":
                assert words[1] in targets, f"{page.name}: {command.text}"
            elif words[0] == "gesso":
                parse(words[1:])
            else:
                assert endless(command.text), f"{page.name}: {command.text}"


@pytest.mark.parametrize("page", [one for one in PAGES if one != REFERENCE], ids=lambda page: page.name)
def test_commands_in_the_text_are_ones_that_there_are(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for span in re.findall(r"`(gesso [^`]+)`", text):
        words = shlex.split(span)[1:]
        assert words[0] == "--help" or parse(words) or words[0].startswith("-"), f"{page.name}: {span}"


def test_every_page_is_reached_from_the_readme():
    linked = set(re.findall(r"\]\((docs/[\w.-]+\.md)\)", PAGES[0].read_text(encoding="utf-8")))
    assert {str(page.relative_to(ROOT)) for page in PAGES[1:]} <= linked


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        place, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = page.parent / place if place else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            titles = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.M)
            assert anchor in {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in titles}, link


def table(page, title):
    """The rows below the table's head that begins with `title`: each a list of cells."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    rows = re.search(rf"^\| {title} \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.M)[1].splitlines()
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


JSON = {
    "gesso run": "datasets/photos.yaml --set sources.0.path=my-photos",
    "gesso prepare": "datasets/photos.yaml --set sources.0.path=my-photos",
    "gesso select": "datasets/photos.yaml --set sources.0.path=my-photos --what-if sharpness__score.min=0.3",
    "gesso train": "datasets/photos.yaml --set sources.0.path=my-photos",
    "gesso evaluate": "datasets/photos.yaml --set sources.0.path=my-photos",
    "gesso tune": "datasets/photos.yaml --set sources.0.path=my-photos --trials 1 "
    "--set 'tune.ranges={train.rank: {choices: [1, 2]}}'",
    "gesso plan": "datasets/photos.yaml --set sources.0.path=my-photos",
    "gesso ledger": "work/photos",
    "gesso show": "work/photos dog.jpg",
    "gesso report": "work/photos",
    "gesso weights show": "work/photos",
    "gesso variety": "work/photos",
    "gesso tags": "work/photos --vocabulary words.txt --to limits.txt",
    "gesso review export": "work/photos --to captions.csv",
    "gesso review apply": "work/photos captions.csv --accept-rest",
    "gesso review undo": "work/photos",
    "gesso review keep-both": "work/photos my-photos/dog.jpg my-photos/01.jpg",
    "gesso review status": "work/photos",
    "gesso review misfits": "work/photos --limit 3",
    "gesso review lessons": "work/photos",
    "gesso review conflicts": "work/photos --to conflicts.csv",
    "gesso doctor": "",
    "gesso export": "work/photos --format webdataset --to photos-tar",
    "gesso forget": "work/photos my-photos/06.jpg --yes",
    "gesso list": "scorers",
}
"""Every command with --json, and arguments to try it with."""


def test_what_a_script_reads_is_as_the_page_says(home, tmp_path):
    folder = tmp_path / "home"
    shutil.copytree(home, folder)
    told = {
        command: re.findall(r"`(\w+)`", keys)
        for commands, keys in table("scripts.md", "command")
        for command in re.findall(r"`(gesso [^`]+)`", commands)
    }
    offered = {f"gesso {' '.join(path)}" for path, one in leaves() if any(p.name == "as_json" for p in one.params)}
    assert set(told) == set(JSON) == offered
    for command, arguments in JSON.items():
        done = type_(folder, f"{command} {arguments} --json")
        assert done.exit_code == 0, done.output
        found = json.loads(done.stdout)
        assert list(found[0] if isinstance(found, list) else found) == told[command], command


def test_errors_that_the_page_of_remedies_quotes_are_ones_that_there_are():
    source = "".join(
        re.sub(r'"\s*\n\s*f?"', "", path.read_text(encoding="utf-8"))
        for folder in ("pipeline", "flows")
        for path in (ROOT / folder).rglob("*.py")
    )
    for said, _ in table("troubleshooting.md", "it says"):
        for part in re.match(r"`([^`]+)`", said)[1].split("…"):
            assert part.strip() in source, part


def test_settings_that_the_page_of_training_names_are_ones_that_there_are():
    from pipeline.training.settings import TrainSettings

    named = {name for names, _ in table("training.md", "setting") for name in re.findall(r"`(\w+)`", names)}
    assert len(named) > 10
    assert named <= set(TrainSettings.model_fields)


def test_defaults_of_the_page_are_those_of_the_methods():
    from pipeline.training.settings import DEFAULTS, TrainSettings

    names = ("learning_rate", "steps", "lr_schedule", "warmup_steps", "caption_dropout")
    shown = table("training.md", "method")
    assert {row[0] for row in shown} == set(DEFAULTS) - {"vae", "clip", "blip"}
    for method, *values, _ in shown:
        name, _, adapts = method.partition(", ")
        chosen = TrainSettings(method=name, **({"adapts": adapts} if adapts else {}))
        assert values == [str(getattr(chosen, one)) for one in names], method


def test_states_of_the_page_are_those_of_the_ledger():
    from pipeline import ledger

    assert [state for state, _ in table("lookup.md", "state")] == list(ledger.STATES)


def reference():
    """Every command with its arguments and options, as docs/commands.md has them."""
    parts = ["# Commands", "What `gesso COMMAND --help` says, in one page. Every command has `--help`, too."]
    for path, command in leaves():
        context = click.Context(command, info_name=" ".join(("gesso", *path)))
        usage = " ".join(command.collect_usage_pieces(context))
        lines = [f"## gesso {' '.join(path)}", f"`{context.info_name} {usage}`", inspect.cleandoc(command.help)]
        options = [one.get_help_record(context) for one in command.params if isinstance(one, click.Option)]
        rows = [f"| `{name.replace('|', chr(92) + '|')}` | {text} |" for name, text in filter(None, options)]
        parts += [*lines, "\n".join(["| option | |", "|---|---|", *rows])] if rows else lines
    return "\n\n".join(part.strip() for part in parts) + "\n"


def test_the_page_of_commands_is_what_the_commands_say():
    assert REFERENCE.read_text(encoding="utf-8") == reference(), "run: python tests/test_docs.py"


if __name__ == "__main__":
    REFERENCE.write_text(reference(), encoding="utf-8")
