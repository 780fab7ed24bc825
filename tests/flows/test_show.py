import re
from pathlib import Path

from flows.show import ledger_text, ledger_value, summary, summary_value, why


def test_the_summary_tells_files_stages_losses_measures_and_the_report(done_run):
    told = summary(done_run)
    assert told.startswith(f"run {done_run.id} of drawn, ")
    assert "7 files came in:" in told
    assert re.search(r"\n +6 kept\n +1 quarantined\n +7 in all\n", told)
    assert re.search(r"\n  measure +7 +0 +\d+\.\d +\d+\n", told)
    assert re.search(r"training loss: \d\.\d{4} at first, \d\.\d{4} after 2 steps", told)
    measured = r"\n  stable loss, training pictures +\d\.\d{4} +\d\.\d{4}   [+-]\d\.\d{4} \(.* to .*\)"
    assert re.search(measured, told)
    assert told.endswith(f"report: {done_run.folder / 'report.html'}")


def test_columns_of_the_measures_line_up(done_run):
    lines = summary(done_run).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("  measure ") and "before" in line)
    ends = [re.match(r".{30,}?\d\.\d{4}", line).end() for line in lines[start + 1 :] if re.search(r"\d\.\d{4}", line)]
    assert set(ends) == {lines[start].index("before") + len("before")}


def test_a_summary_of_a_run_that_has_just_begun(begun):
    run = begun()
    assert summary(run) == f"run {run.id} of drawn"


def test_the_ledger_names_what_did_not_stay_and_counts_all(done_run):
    told = ledger_text(done_run)
    assert re.search(r"\nquarantined \(1\)\n  \S*/pictures/broken\.png: not_a_picture: no picture format ", told)
    assert "00000.png" not in told
    assert re.search(r"7 files came in:\n +6 kept\n +1 quarantined\n +7 in all$", told)


def test_one_state_of_the_ledger(done_run):
    told = ledger_text(done_run, "kept")
    assert "kept (6)" in told
    assert told.count("/pictures/0") == 6
    assert "broken.png" not in told
    assert "rejected" not in ledger_text(done_run, "rejected")


def test_the_ledger_for_a_script(done_run):
    found = ledger_value(done_run, "quarantined")
    assert [row["state"] for row in found["rows"]] == ["quarantined"]
    assert found["totals"] == {"kept": 6, "quarantined": 1}
    assert (found["run"], found["recipe"]) == (done_run.id, "drawn")


def test_the_summary_for_a_script(done_run, begun):
    found = summary_value(done_run)
    assert (found["run"], found["recipe"], found["exit_code"]) == (done_run.id, "drawn", 0)
    assert found["files"] == {"kept": 6, "quarantined": 1}
    assert found["trainset"] == done_run.json("trainset")["digest"]
    for place in ("folder", "training", "weights", "report", "log"):
        assert Path(found[place]).exists()
    assert {one["name"] for one in found["metrics"]} == {"clip image", "clip score", "stable loss"}
    fresh = summary_value(begun())
    assert fresh.keys() == found.keys()
    assert (fresh["report"], fresh["training"], fresh["files"]) == (None, None, {})


def test_why_a_file_left():
    row = dict.fromkeys(("reason", "value", "limit", "kept_instead"), "") | {"state": "rejected"}
    assert why(row) == ""
    assert why({**row, "reason": "sharpness__score", "value": "0.05", "limit": "at least 0.1"}) == (
        "sharpness__score 0.05 (limit at least 0.1)"
    )
    assert why({**row, "state": "quarantined", "reason": "truncated", "value": "cut at 60 %"}) == (
        "truncated: cut at 60 %"
    )
