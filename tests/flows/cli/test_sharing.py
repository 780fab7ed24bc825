"""Commands that let pictures go."""

import json

from flows.cli import sharing
from pipeline import plugins


def test_the_formats_are_those_of_the_exports():
    assert list(sharing.FORMATS) == plugins.names("exports")


def test_export(finished, gesso, tmp_path):
    done = gesso("export", finished / "w", "--format", "kohya", "--to", "out")
    assert done.exit_code == 0, done.output
    assert done.stdout == "6 pictures as kohya in out\n"
    assert len(list((tmp_path / "out").rglob("*.png"))) == 6
    again = gesso("export", finished / "w", "--format", "kohya", "--to", "out")
    assert again.exit_code == 2
    assert "nothing is overwritten" in again.stderr
    found = json.loads(gesso("export", finished / "w", "--format", "parquet", "--to", "p", "--json").stdout)
    assert list(found) == ["run", "to", "format", "pictures", "digest"]


def test_forget_asks_first_and_says_what_it_reached(copied, gesso):
    victim = json.loads(gesso("ledger", "w", "--json", "--state", "kept").stdout)["rows"][0]
    dry = gesso("forget", "w", victim["origin"], "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert "1 picture" in dry.stdout
    assert "training set " in dry.stdout
    assert gesso("show", "w", victim["origin"]).exit_code == 0
    refused = gesso("forget", "w", victim["origin"])
    assert refused.exit_code == 1  # nobody answered
    done = gesso("forget", "w", victim["origin"], "--yes", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["pictures"] == [victim["sample_id"]]
    assert len(found["training_sets"]) == len(found["trainings"]) == len(found["runs"]) == 1
    assert gesso("show", "w", victim["origin"]).exit_code == 2
    assert json.loads(gesso("ledger", "w", "--json").stdout)["totals"]["forgotten"] == 1
    assert gesso("report", "w").exit_code == 0
    assert gesso("forget", "w", "nobody", "--yes").exit_code == 2
