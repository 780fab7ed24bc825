"""A few hundred of the cases of tests/benchmarks/csv_round_trip.py, and LibreOffice between export and apply."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.review import journal, table
from pipeline.review.apply import Applying, changes
from pipeline.review.rows import Proposal, review_rows

BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "csv_round_trip.py"


@pytest.fixture(scope="module")
def rounds():
    spec = importlib.util.spec_from_file_location("csv_round_trip", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    sys.modules["csv_round_trip"] = module
    spec.loader.exec_module(module)
    return module


def test_nothing_is_changed_silently(rounds, tmp_path):
    ended = []
    rounds.run(150, tmp_path, lambda outcome, case: ended.append((outcome, case[:6])))
    assert [one for one in ended if one[0].startswith("silently")] == []
    outcomes = [outcome for outcome, _ in ended]
    assert all(outcomes.count(one) > 5 for one in ("refused", "applied", "repaired"))


def test_the_benchmark_would_see_a_silent_change(rounds, tmp_path, monkeypatch):
    """The instrument, held to an apply that takes whatever comes."""
    monkeypatch.setattr("pipeline.review.intent.damage.suspicious", lambda *_, **__: None)
    monkeypatch.setattr("pipeline.review.apply.intent.moved", lambda _: [])
    ended = []
    rounds.run(300, tmp_path, lambda outcome, case: ended.append(outcome))
    assert any(outcome.startswith("silently") for outcome in ended)


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    """Converts a file with LibreOffice; the path of what it wrote."""
    program = shutil.which("soffice")
    if not program:
        if os.environ.get("CI"):
            pytest.fail("LibreOffice is missing: apt-get install libreoffice-calc")
        pytest.skip("needs LibreOffice (apt-get install libreoffice-calc)")
    home = tmp_path_factory.mktemp("office")

    def convert(path, to, *, reading=None):
        words = [program, f"-env:UserInstallation={home.as_uri()}", "--headless", "--convert-to", to]
        words += [f"--infilter={reading}"] if reading else []
        done = subprocess.run(
            [*words, "--outdir", home / "out", path], capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, done.stderr
        return home / "out" / f"{path.stem}.{to.partition(':')[0]}"

    return convert


# comma, double quote, UTF-8 (76), from line 1; columns are read as LibreOffice likes, not as text
READ_CSV = "CSV:44,34,76,1"
WAYS = {
    "csv to csv": ("csv", "csv:Text - txt - csv (StarCalc):44,34,76,1", READ_CSV),
    "csv to cp1252 and semicolons": ("csv", "csv:Text - txt - csv (StarCalc):59,34,1,1", READ_CSV),
    "csv to xlsx": ("csv", "xlsx", READ_CSV),
    "xlsx to csv": ("xlsx", "csv:Text - txt - csv (StarCalc):44,34,76,1", None),
    "xlsx to xlsx": ("xlsx", "xlsx", None),
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_through_libreoffice_nothing_is_an_edit(way, office, rounds, tmp_path):
    start, to, reading = WAYS[way]
    bodies = [text for text in rounds.TEXTS if len(text) < 1000]
    made = [
        Proposal(sample_id=f"{n:016x}{n:048x}", pixel_id=f"p{n}", origin=f"{n}.jpg", split="train", body=b, source="x")
        for n, b in enumerate(bodies)
    ]
    rows = review_rows(made, {})
    path = tmp_path / f"r.{start}"
    table.export(rows, path)
    back = table.read(office(path, to, reading=reading))
    assert [one.id for one in back.rows] == [row.id for row in rows]
    found = changes(rows, back.rows, journal.Journal(), Applying("me", journal.now()))
    assert (found.fresh, found.conflicts, found.absent) == ((), (), 0)
    assert found.unchanged == len(rows)
    if start == "xlsx" and "59" not in to:
        mangled = [(bodies[line - 2], how) for line, how in found.repaired]
        assert mangled == [], "a workbook's texts stay as they are"
