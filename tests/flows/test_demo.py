from pathlib import Path

from flows import demo
from pipeline import plan
from pipeline.ledger import LEDGER, totals
from pipeline.manifest import table_of
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.starter import collection
from pipeline.workspace import Workspace


def test_the_ledger_is_held_against_what_was_planted(begun):
    run = begun()
    states = {"a/good.png": "kept", "a/lost.png": "rejected", "a/blur.png": "rejected", "a/dark.png": "held_out"}
    rows = [dict.fromkeys(LEDGER.names) | {"origin": origin, "state": state} for origin, state in states.items()]
    run.save("ledger", table_of(rows, LEDGER))
    told = demo.caught(run, {"blur.png": "blurred", "dark.png": "dark"})
    assert told.splitlines()[2:] == ["  blurred: 1 of 1", "  dark: 0 of 1", "  good pictures lost: 1 of 2"]


def test_preparation_catches_the_planted_trouble(tmp_path):
    planted = collection.demo(tmp_path / "pictures")
    recipe = demo.recipe(tmp_path / "pictures")
    plan.check_all(recipe, plan.STEPS["assemble"])
    run = Run.create(Workspace.create(tmp_path / "w"), recipe, command="a test")
    for step in ("ingest", "measure", "select"):
        plan.do(run, step, Tools(run.workspace))
    rows = run.rows("ledger")
    stayed = {Path(row["origin"]).name for row in rows if row["state"] in ("kept", "held_out")}
    assert not stayed & set(planted)
    assert len(stayed) == len(rows) - len(planted)
    assert totals(rows)["held_out"] > 0
