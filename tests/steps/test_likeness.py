"""Copies that lie differently, and pictures that show the same, through the chain: what the ledger and groups say."""

import numpy as np
import pytest
from PIL import Image

from pipeline import whatif
from pipeline.errors import ModelError, WorkspaceError
from pipeline.manifest import read_table
from pipeline.plan import check_all
from pipeline.recipe import parse
from pipeline.run import Run
from pipeline.steps import embed, forget
from tests.dedup.test_perceptual import textured
from tests.steps.conftest import Made

UP_TO_SELECT = ("ingest", "measure", "select")


@pytest.fixture
def photos(pictures):
    """Three textured pictures beside the drawn ones' folder, copies that lie differently, and another crop of one."""
    folder = pictures.parent / "lying"
    if not folder.exists():
        folder.mkdir()
        first, second, third = (textured(seed, (256, 320)) for seed in (1, 2, 3))
        made = {"a": first, "b": second, "c": third, "a mirrored": np.fliplr(first), "b turned": np.rot90(second)}
        made |= {"c cropped": third[16:-16, 20:-20]}
        for name, pixels in made.items():
            small = pixels[::2, ::2] if len(name) > 1 and "cropped" not in name else pixels  # of two the copy gives way
            Image.fromarray(np.ascontiguousarray(small)).save(folder / f"{name}.png")
    return folder


def chain(begin, photos, **dedup):
    source = {"path": str(photos), "rights": {"license": "CC0-1.0"}}
    return begin(sources=[source], dedup=dedup).go(*UP_TO_SELECT)


def tried(run, **dedup):
    """The run's recipe with another `dedup`."""
    return parse({**run.recipe.model_dump(mode="json", exclude_unset=True, by_alias=True), "dedup": dedup})


def gone(made):
    names = {row["sample_id"]: name for name, row in made.ledger.items()}
    duplicates = {name: row for name, row in made.ledger.items() if row["state"] == "duplicate"}
    return {name: (row["reason"], names[row["kept_instead"]]) for name, row in duplicates.items()}


def test_copies_are_found_in_the_ways_that_the_recipe_asks_for(begun, photos):
    assert gone(chain(begun, photos)) == {}


def test_mirrored_and_turned_copies_give_way_and_say_so(elsewhere, photos):
    made = chain(elsewhere, photos, near={"flips": True, "rotations": True})
    mirrored = {"a mirrored.png": ("looks alike, mirrored", "a.png")}
    assert gone(made) == mirrored | {"b turned.png": ("looks alike, turned by a quarter", "b.png")}
    assert all(row["limit"] == "6" for row in made.ledger.values() if row["state"] == "duplicate")
    # the groups tell of bits in the way in which the copies are alike
    assert all(row["weakest"] == row["diameter"] <= 6 for row in made.run.rows("groups"))
    kinds = {row["kind"] for row in made.run.rows("edges") if row["kind"] != "perceptual"}
    assert kinds == {"looks alike, mirrored", "looks alike, turned by a quarter"}


def test_another_way_to_lie_measures_nothing_again_and_a_what_if_shows_it(elsewhere, photos):
    made = chain(elsewhere, photos, near={"flips": True})
    turned = tried(made.run, near={"rotations": True})
    found = whatif.compare(made.run, made.run.recipe, turned)
    moved = [[after["origin"].rpartition("/")[2] for _, after in pairs] for pairs in (found.gained, found.lost)]
    assert moved == [["a mirrored.png"], ["b turned.png"]]
    plain = chain(elsewhere, photos)
    with pytest.raises(WorkspaceError, match="not measured turned__hashes"):
        whatif.compare(plain.run, plain.run.recipe, turned)


def test_what_shows_the_same_to_clip_gives_way_and_another_limit_looks_at_nothing_again(elsewhere, photos, monkeypatch):
    made = chain(elsewhere, photos, near=None, embedding={"similarity": -1})
    assert made.stats["embed"].computed == 6
    assert {reason for reason, _ in gone(made).values()} == {"shows the same"}
    assert len(gone(made)) == 5
    values = sorted(float(row["value"]) for row in made.ledger.values() if row["state"] == "duplicate")
    limit = (values[-1] + values[-2]) / 2
    monkeypatch.setattr(embed, "run", None)
    found = whatif.compare(made.run, made.run.recipe, tried(made.run, near=None, embedding={"similarity": limit}))
    assert found.gained
    assert not found.lost


def test_a_clip_that_is_not_there_is_named_before_anything_is_done(begun, photos):
    made = begun(dedup={"embedding": {"clip": "/no/such/clip"}})
    with pytest.raises(ModelError) as caught:
        check_all(made.run.recipe, UP_TO_SELECT)
    assert (caught.value.field, caught.value.value) == ("dedup.embedding.clip", "/no/such/clip")


def test_the_order_of_the_files_decides_nothing_whatever_makes_them_alike(begun, elsewhere, photos, tmp_path):
    asked = {"near": {"flips": True, "rotations": True}, "embedding": {"similarity": 0.9}}
    made = chain(begun, photos, **asked)
    names = sorted(path.name for path in photos.iterdir())
    other = tmp_path / "other"
    other.mkdir()
    for name, instead in zip(names, reversed(names), strict=True):
        (other / instead).write_bytes((photos / name).read_bytes())
    again = chain(elsewhere, other, **asked)
    states = [
        {
            (row["sample_id"], row["state"], row["reason"], row["value"], row["kept_instead"])
            for row in one.run.rows("ledger")
        }
        for one in (made, again)
    ]
    assert states[0] == states[1]
    assert {reason for _, _, reason, *_ in states[0]} > {"looks alike, mirrored", "shows the same"}
    assert made.run.rows("groups") == again.run.rows("groups")


def test_what_is_forgotten_leaves_no_row_in_what_pictures_were_compared_by(begun, photos):
    made = chain(begun, photos, near={"flips": True}, embedding={"similarity": 0.99})
    gone = made.ledger["a.png"]["sample_id"]
    pixel_id = made.named("samples")["a.png"]["pixel_id"]
    workspace = made.run.workspace
    forget.forget(workspace, forget.find(workspace, gone))
    for stage in ("turned", "embed", "edges", "perceptual"):
        paths = list((workspace.root / "tables" / stage).rglob("*.parquet"))
        assert paths, stage
        for path in paths:
            assert gone not in (said := str(read_table(path).to_pylist())), stage
            assert pixel_id not in said, stage


def test_a_mirrored_copy_of_what_was_forgotten_stays_away_where_mirrors_are_looked_for(begun, photos):
    made = chain(begun, photos, near={"flips": True})
    workspace = made.run.workspace
    forget.forget(workspace, forget.find(workspace, made.ledger["a.png"]["sample_id"]))
    again = Made(Run.create(workspace, made.run.recipe, command="a test")).go(*UP_TO_SELECT)
    assert again.ledger["a mirrored.png"]["state"] == "forgotten"
    # what is tried without mirrors needs nothing of them
    found = whatif.compare(again.run, again.run.recipe, tried(again.run, near={}))
    assert [after["origin"].rpartition("/")[2] for _, after in found.gained] == ["a mirrored.png"]
