"""New pictures against what earlier runs of the workspace kept."""

import numpy as np
import pytest
from PIL import Image

from pipeline.run import Run
from pipeline.steps import accepted, forget
from tests.dedup.test_perceptual import textured
from tests.steps.conftest import Made, recipe_of

UP_TO_SELECT = ("ingest", "measure", "select")


class Batches:
    """Runs in one workspace, each over a folder of its own."""

    def __init__(self, begun, root):
        self.workspace, self.root = begun().run.workspace, root

    def run(self, name, pictures, **dedup):
        folder = self.root / name
        folder.mkdir(exist_ok=True)
        for file, pixels in pictures.items():
            Image.fromarray(np.ascontiguousarray(pixels)).save(folder / f"{file}.png")
        source = {"path": str(folder), "rights": {"license": "CC0-1.0"}}
        recipe = recipe_of(folder, {"sources": [source], "dedup": {"against": "accepted", **dedup}})
        return Made(Run.create(self.workspace, recipe, command="a test")).go(*UP_TO_SELECT)


@pytest.fixture
def batches(begun, tmp_path):
    return Batches(begun, tmp_path)


def states(made):
    return {name: row["state"] == "duplicate" and row["reason"] for name, row in made.ledger.items()}


SMALL = slice(None, None, 2)
FIRST = {"a": textured(1), "b": textured(2)}
SECOND = {"a again": textured(1)[SMALL, SMALL], "new": textured(3)}


def test_what_was_accepted_before_is_kept_instead(batches):
    first = batches.run("first", FIRST)
    second = batches.run("second", SECOND)
    assert states(second) == {"a again.png": "looks alike (accepted before)", "new.png": False}
    row = second.ledger["a again.png"]
    assert row["kept_instead"] == first.ledger["a.png"]["sample_id"]
    (group,) = second.run.rows("groups")
    assert (group["kept"], group["members"]) == (row["kept_instead"], 1)
    assert group["weakest"] <= 6
    second.go("report")  # shows the one that is kept, though it is none of the run's


def test_without_being_asked_a_run_looks_at_its_own_pictures_alone(batches):
    batches.run("first", FIRST)
    assert not any(states(batches.run("second", SECOND, against="run")).values())


def test_the_same_sources_again_change_nothing(batches):
    first = batches.run("first", FIRST)
    again = batches.run("first", {})
    assert again.run.rows("ledger") == first.run.rows("ledger")
    assert again.stats["edges"].computed == 0
    batches.run("second", SECOND)
    assert not any(states(batches.run("first", {})).values())


def test_metadata_that_was_edited_makes_no_duplicate(batches):
    batches.run("first", FIRST)
    folder = batches.root / "edited"
    folder.mkdir()
    Image.fromarray(FIRST["a"]).save(folder / "a.png", compress_level=1)  # other bytes, the same pixels
    assert states(batches.run("edited", {})) == {"a.png": False}


def test_what_gave_way_was_dropped_or_is_forgotten_does_not_count(batches):
    first = batches.run("first", FIRST | {"b small": FIRST["b"][SMALL, SMALL]})
    assert states(first)["b small.png"] == "looks alike"
    first.decide("a.png", verdict="drop")
    forget.forget(batches.workspace, forget.find(batches.workspace, first.ledger["b.png"]["sample_id"]))
    second = batches.run("second", SECOND)
    assert not any(states(second).values())
    assert accepted.before(second.run, {}) == {first.ledger["a.png"]["sample_id"]: f"{batches.root}/first/a.png"}


def test_a_person_keeps_one_beside_what_was_accepted(batches):
    batches.run("first", FIRST)
    second = batches.run("second", SECOND)
    second.decide("a again.png", verdict="keep")
    assert not any(states(batches.run("second", {})).values())


def test_mirrored_copies_of_what_was_accepted_without_looking_for_mirrors(batches):
    batches.run("first", FIRST)
    second = batches.run("second", {"m": np.fliplr(FIRST["a"])}, near={"flips": True})
    assert states(second) == {"m.png": "looks alike, mirrored (accepted before)"}
    (group,) = second.run.rows("groups")
    assert group["weakest"] <= 6
