"""Preparation of real photographs, where the folder of them is there."""

import hashlib
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest

from pipeline import ledger, plan
from pipeline.recipe import parse
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.workspace import Workspace

PHOTOS = Path(__file__).parents[2] / "shared" / "photos"
LICENSE = "LicenseRef-Unsplash"

pytestmark = pytest.mark.skipif(not PHOTOS.is_dir(), reason="the folder ../shared/photos is not there")


def tree():
    return {
        str(path.relative_to(PHOTOS)): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(PHOTOS.rglob("*"))
        if path.is_file()
    }


def recipe(**changes):
    source = {"path": str(PHOTOS), "rights": {"license": LICENSE}, "class": "{folder}", "trigger": "sks"}
    return parse(
        {
            "name": "photos",
            "sources": [source],
            "rights": {"allow": [LICENSE]},
            "dedup": {"near": {"distance": 6, "colour": 255}},
            "select": {"resolution__short_side": {"min": 256}},
            "caption": {"captioner": "sidecar"},
            **changes,
        }
    )


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The run, what its steps did, and the sources as they were before."""
    before = tree()
    workspace = Workspace.create(tmp_path_factory.mktemp("photos") / "w")
    run = Run.create(workspace, recipe(), command="a test")
    for step in plan.STEPS["prepare"]:
        plan.do(run, step, Tools(workspace, workers=1))
    return run, before


def test_all_pictures_come_in_and_the_ledger_adds_up(prepared):
    run, before = prepared
    pictures = {name for name in before if name.endswith((".jpg", ".jpeg", ".png"))}
    texts = {name for name in before if "/" not in name}
    rows = run.rows("ledger")
    assert len(pictures) == 44
    ledger.check(rows, run.rows("origins"))
    states = {row["origin"].partition(f"{PHOTOS.name}/")[2]: row["state"] for row in rows}
    assert set(states) == pictures | texts
    assert {states[name] for name in pictures} == {"kept", "held_out"}
    # what lies beside the folders of pictures is no picture, and no caption of one
    assert {states[name] for name in texts} == {"quarantined"}


def photographs(run):
    """The measured rows of what is a picture."""
    return [row for row in run.rows("samples") if not row["error"]]


def test_every_photograph_is_decoded_and_measured(prepared):
    samples = photographs(prepared[0])
    assert len(samples) == 44
    assert all(row["sharpness__score"] >= 0 and row["resolution__short_side"] >= 256 for row in samples)
    assert len({row["pixel_id"] for row in samples}) == 44
    assert not [row for row in samples if row["perceptual__flat"]]


def test_no_two_photographs_pass_for_the_same(prepared):
    samples = photographs(prepared[0])
    near = [
        (one["sample_id"], other["sample_id"])
        for one, other in combinations(samples, 2)
        if (one["perceptual__hash"] ^ other["perceptual__hash"]).bit_count() <= 6
    ]
    assert near == []
    assert not [row for row in prepared[0].rows("ledger") if row["state"] == "duplicate"]


def test_the_class_is_the_folders_name(prepared):
    run = prepared[0]
    shown = {row["sample_id"] for row in photographs(run)}
    classes = Counter(row["class"] for row in run.rows("origins") if row["sample_id"] in shown)
    assert classes == {path.name: len(list(path.glob("*.jp*g"))) for path in PHOTOS.iterdir() if path.is_dir()}


def test_sources_are_unchanged(prepared):
    assert tree() == prepared[1]


def test_a_second_run_measures_nothing_and_a_new_limit_decides_anew(prepared):
    first, _ = prepared
    highest = sorted(row["sharpness__score"] for row in photographs(first))[-5]
    strict = recipe(select={"sharpness__score": {"min": highest}})
    again = Run.create(first.workspace, strict, command="a test")
    tools = Tools(first.workspace, workers=1)
    for step in plan.STEPS["prepare"]:
        plan.do(again, step, tools)
    assert {stat.name: stat.computed for stat in again.stats() if stat.name in ("measure", "edges")} == {
        "measure": 0,
        "edges": 0,
    }
    assert ledger.totals(again.rows("ledger"))["rejected"] == 39
