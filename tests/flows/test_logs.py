import contextlib
import logging
import re

import pytest

from flows import logs
from flows.progress import Progress

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (INFO|WARNING|ERROR) +([\w.]+): (.+)")


def lines(folder):
    return [LINE.fullmatch(line).groups() for line in (folder / "log.txt").read_text().splitlines()]


def test_a_line_has_time_level_place_and_message(tmp_path, capsys):
    with logs.recording(tmp_path):
        logging.getLogger("pipeline.stage").info("latents: shard 1 of 2")
        logging.getLogger("pipeline.fused").warning("measure: 9f3a is cut")
        Progress().say("measure: 2 contents")
    assert lines(tmp_path) == [
        ("INFO", "pipeline.stage", "latents: shard 1 of 2"),
        ("WARNING", "pipeline.fused", "measure: 9f3a is cut"),
        ("INFO", "flows.progress", "measure: 2 contents"),
    ]
    assert capsys.readouterr().err == "measure: 2 contents\n"


def test_verbose_shows_the_library_and_nothing_twice(tmp_path, capsys):
    with logs.recording(tmp_path, verbose=True):
        logging.getLogger("pipeline.stage").info("latents: shard 1 of 2")
        Progress().say("measure: 2 contents")
    assert capsys.readouterr().err == "pipeline.stage: latents: shard 1 of 2\nmeasure: 2 contents\n"
    assert len(lines(tmp_path)) == 2


def test_afterwards_nothing_is_recorded_and_logging_is_as_it_was(tmp_path):
    before = [(logging.getLogger(name).level, list(logging.getLogger(name).handlers)) for name in logs.LOGGERS]
    with contextlib.suppress(ZeroDivisionError), logs.recording(tmp_path):
        logging.getLogger("pipeline").info("1 time")
        logging.getLogger("pipeline").info(1 / 0)
    logging.getLogger("pipeline").error("two")
    assert [text for _, _, text in lines(tmp_path)] == ["1 time"]
    assert [(logging.getLogger(name).level, list(logging.getLogger(name).handlers)) for name in logs.LOGGERS] == before


def test_a_log_that_cannot_be_written_ends_nothing(tmp_path, capsys):
    (tmp_path / "log.txt").mkdir()
    with logs.recording(tmp_path):
        logging.getLogger("pipeline").info("one")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("engine", ["plain", "prefect"])
def test_a_run_leaves_its_log_with_either_engine(engine, recipe, gesso, tmp_path, request):
    if engine == "prefect":
        request.getfixturevalue("prefect")
    done = gesso("prepare", recipe(), "-w", "w", "--engine", engine, "--until", "measure")
    assert done.exit_code == 0, done.output
    (run,) = (tmp_path / "w" / "runs").iterdir()
    said = [text for _, place, text in lines(run) if place.startswith("flows")]
    assert [text for text in said if text.startswith(("ingest: ", "measure: "))] == done.stderr.splitlines()


def test_a_failure_is_in_the_log(recipe, gesso, monkeypatch, tmp_path):
    from pipeline import plan

    def broken(*_):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(plan, "do", broken)
    assert gesso("prepare", recipe(), "-w", "w", "--engine", "plain").exit_code == 1
    (run,) = (tmp_path / "w" / "runs").iterdir()
    log = (run / "log.txt").read_text()
    assert "ERROR" in log
    assert "ZeroDivisionError: a bug" in log
