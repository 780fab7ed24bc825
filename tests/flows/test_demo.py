import csv
import hashlib
import json
from pathlib import Path

import pytest

from flows import demo, reviewing
from pipeline import plan
from pipeline.ledger import totals
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.starter import collection
from pipeline.starter.defects import GOOD, KINDS
from pipeline.workspace import Workspace


def tree(folder):
    return {
        path.name: (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.iterdir())
    }


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The demo's pictures, prepared up to their captions: the run, the truth, and the folder as it was before."""
    place = tmp_path_factory.mktemp("demo")
    truths = collection.demo(place / "pictures")
    before = tree(place / "pictures")
    recipe = demo.recipe(place / "pictures")
    plan.check_all(recipe, plan.STEPS["assemble"])
    run = Run.create(Workspace.create(place / "w"), recipe, command="a test")
    for step in plan.STEPS["prepare"]:
        plan.do(run, step, Tools(run.workspace))
    return run, truths, before


@pytest.fixture(scope="module")
def told(prepared):
    """What the report says of it."""
    run, truths, _ = prepared
    demo.tell(run, truths)
    return json.loads((run.folder / "report.json").read_text())


ALL = {
    *("resized copy", "recompressed copy", "same bytes", "same pixels", "wrong extension"),
    *("blurred", "dark", "over-exposed", "noisy", "tiny"),
    *("licence not allowed", "licence unknown", "cut off", "no picture", "empty file"),
}
"""Kinds that preparation catches without a miss."""
NONE = {"text over it", "wrong caption"}
"""Kinds that nothing in gesso looks for yet."""


def test_preparation_catches_what_it_can_see_and_the_report_admits_the_rest(told):
    kinds = told["caught"]["kinds"]
    assert set(kinds) == {GOOD, *KINDS}
    shares = {name: one["right"] / one["planted"] for name, one in kinds.items()}
    assert {name for name in ALL if shares[name] < 1} == set()
    assert {name for name in NONE if shares[name] > 0} == set()
    assert shares["bars or frame"] >= 0.8
    assert shares["cropped copy"] >= 0.5
    assert shares["watermarked copy"] >= 0.5
    assert shares[GOOD] >= 0.98
    assert told["caught"]["recall"] > 0.7
    assert told["caught"]["precision"] > 0.97


def test_every_file_is_in_the_ledger_and_some_are_held_out(prepared):
    run, truths, _ = prepared
    rows = run.rows("ledger")
    assert {Path(row["origin"]).name for row in rows} == {one.file for one in truths}
    assert totals(rows)["held_out"] > 20


def test_a_copy_gives_way_to_its_original_or_the_other_way_round(prepared):
    run, truths, _ = prepared
    rows = {Path(row["origin"]).name: row for row in run.rows("ledger")}
    names = {row["sample_id"]: name for name, row in sorted(rows.items(), reverse=True)}
    for one in truths:
        if one.kind in ("resized copy", "recompressed copy", "same pixels"):
            left, stayed = (one.file, one.of) if rows[one.file]["state"] == "duplicate" else (one.of, one.file)
            assert names[rows[left]["kept_instead"]] == stayed


def test_the_report_says_what_the_demo_is_and_shows_what_was_missed(prepared, told):
    run, truths, _ = prepared
    page = (run.folder / "report.html").read_text()
    assert "drew 300 pictures of a robot" in page
    assert "What was planted, and what was caught" in page
    missed = next(one.file for one in truths if one.kind == "text over it")
    assert missed in page
    assert len(told["planted"]) == 300
    words = demo.caught(run).splitlines()
    assert words[1].startswith("planted trouble that was caught: ")
    assert "  text over it: 0 of 6" in words


def test_the_source_folder_is_never_changed(prepared, told):
    run, _, before = prepared
    assert tree(run.recipe.sources[0].path) == before


def test_flagged_captions_and_a_third_of_all_are_reviewed_as_people_do(prepared, told, tmp_path):
    run, truths, _ = prepared
    shows = {one.file: one.caption for one in truths}
    flagged = {row.sample_id for row in reviewing.captioned(run) if row.flags}
    said = demo.review(run, truths, tmp_path / "review.csv")
    plan.do(run, "review", Tools(run.workspace))
    rows = sorted(run.rows("reviewed"), key=lambda row: row["origin"])
    decided = [row for row in rows if row["decided"]]
    assert decided == [row for at, row in enumerate(rows) if at % demo.READ == 0 or row["sample_id"] in flagged]
    assert all(row["caption"] == shows[Path(row["origin"]).name] for row in decided)
    corrected = sum(row["caption"] != row["proposed"] for row in decided)
    assert corrected > 0
    assert said == f"captions reviewed: {corrected} corrected, {len(decided) - corrected} accepted"
    with (tmp_path / "review.csv").open(newline="", encoding="utf-8-sig") as file:
        assert len(list(csv.DictReader(file))) == len(rows)
    again = demo.review(run, truths, tmp_path / "review.csv")
    assert again == "captions reviewed: 0 corrected, 0 accepted"
