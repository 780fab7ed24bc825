import cv2
import numpy as np
import pytest

from flows.life import life, life_text
from flows.review_both import keep_both
from flows.review_undo import undo
from pipeline import plan
from pipeline.errors import InputError
from pipeline.recipe import parse
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.workspace import Workspace


@pytest.fixture
def selected(tmp_path):
    """Runs of ingest, measure and select over two look-alikes and one file that is no picture."""
    photos = tmp_path / "photos"
    photos.mkdir()
    noise = np.random.default_rng(0).normal(128, 50, (6, 6, 3)).clip(0, 255).astype(np.uint8)
    clouds = cv2.resize(noise, (256, 256), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(photos / "one.png"), clouds)
    cv2.imwrite(str(photos / "two.png"), clouds[:240, :240])
    cv2.imwrite(str(photos / "two-again.png"), clouds[:240, :240])
    cv2.imwrite(str(photos / "worse.jpg"), clouds, [cv2.IMWRITE_JPEG_QUALITY, 40])
    (photos / "text.png").write_text("no picture")
    source = {"path": str(photos), "rights": {"license": "CC0-1.0"}}
    data = {"name": "both", "sources": [source], "rights": {"allow": ["CC0-1.0"]}}
    workspace = Workspace.create(tmp_path / "w")

    def go(**keys):
        run, tools = Run.create(workspace, parse(data | keys), command="test"), Tools(workspace)
        for step in ("ingest", "measure", "select"):
            plan.do(run, step, tools)
        return run

    return go


def states(run):
    return {row["origin"].rpartition("/")[2]: row["state"] for row in run.rows("ledger")}


def test_both_are_kept_from_the_next_run_on_and_after_an_undo_one_is(selected):
    first = selected()
    assert {states(first)["one.png"], states(first)["worse.jpg"]} == {"kept", "duplicate"}
    done = keep_both(first, ["one.png", "worse.jpg"], reviewer="anna")
    assert done.value()["pairs"] == 1
    again = selected(select={"sharpness__score": {"min": 0.0}})
    assert (states(again)["one.png"], states(again)["worse.jpg"]) == ("kept", "kept")
    shown = life_text(life(again, "worse.jpg"))
    assert "kept: kept beside a look-alike by a person" in shown
    undo(again, batch=done.batch, reviewer="anna")
    assert states(selected()) == states(first)


def test_what_cannot_be_kept_beside_each_other_is_told(selected):
    run = selected()
    for names, problem in [
        (["one.png"], "same pixels"),
        (["two.png", "two-again.png"], "same pixels"),
        (["one.png", "text.png"], "no picture"),
        (["one.png", "none.png"], "knows no such picture"),
    ]:
        with pytest.raises(InputError, match=problem):
            keep_both(run, names, reviewer="anna")
    assert not list(run.workspace.decisions.glob("*.jsonl"))


def test_the_group_is_told_with_its_weakest_link(selected):
    run = selected()
    rows = run.rows("groups")
    assert rows
    for row in rows:
        assert 0 <= row["weakest"] <= run.recipe.dedup.near.distance
        assert row["weakest"] <= row["diameter"] <= 2 * row["weakest"]


def test_the_order_of_keeping_is_the_recipes(selected):
    found = [states(selected(dedup={"keep": [f"{sign}sharpness__score"]})) for sign in ("", "-")]
    assert [one["one.png"] for one in found] in (["kept", "duplicate"], ["duplicate", "kept"])
