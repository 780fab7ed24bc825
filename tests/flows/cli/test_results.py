"""Commands that show what a workspace holds."""

import json

from flows.cli import results
from pipeline import ledger


def test_the_states_are_those_of_the_ledger():
    assert results.STATES == ledger.STATES


def test_ledger(finished, gesso):
    done = gesso("ledger", finished / "w")
    assert done.exit_code == 0
    assert "quarantined (1)" in done.stdout
    found = json.loads(gesso("ledger", finished / "w", "--json", "--state", "kept").stdout)
    assert len(found["rows"]) == 6
    assert sum(found["totals"].values()) == 7


def test_show(finished, gesso):
    assert "state       kept" in gesso("show", finished / "w", "00000.png").stdout
    found = json.loads(gesso("show", finished / "w", finished / "pictures" / "00000.png", "--json").stdout)
    assert found["ledger"][0]["state"] == "kept"
    assert len(found["runs"]) == 1


def test_report_is_written_again(copied, gesso):
    (path,) = (copied / "w" / "runs").glob("*/report.html")
    path.unlink()
    done = gesso("report", "w")
    assert done.exit_code == 0, done.output
    assert done.stdout.strip().endswith("report.html")
    assert path.exists()


def test_report_for_a_script(copied, gesso):
    found = json.loads(gesso("report", "w", "--json").stdout)
    assert (copied / found["report"]).name == "report.html"
    assert found["run"] in found["report"]


def test_report_of_a_run_that_only_selected(recipe, gesso, tmp_path):
    assert gesso("prepare", recipe(), "-w", "w", "--engine", "plain", "--until", "select").exit_code == 0
    done = gesso("report", "w")
    assert done.exit_code == 0, done.output
    assert (tmp_path / done.stdout.strip()).exists()
