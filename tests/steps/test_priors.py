import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import RecipeError
from pipeline.recipe import parse
from pipeline.steps import priors

TRAIN = {"method": "dreambooth", "steps": 4, "batch_size": 2, "checkpoint_every": 2, "learning_rate": 1e-3, "rank": 4}
ASKED = ["a red circle on a blue background", "a green star"]
SCHOOL = {"prompts": ASKED, "count": 5, "steps": 2, "guidance": 2.0}


@pytest.fixture
def sources(pictures, tmp_path):
    shared = {"rights": {"license": "CC0-1.0"}}
    subject = {**shared, "path": str(pictures), "class": "thing", "trigger": "sks"}
    return [subject, {**shared, "path": str(tmp_path / "class"), "role": "prior", "painted": SCHOOL}]


def painted(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(Path(folder).rglob("*.png"))}


def test_class_pictures_are_painted_measured_learned_and_measured_again(begun, sources, tmp_path):
    made = begun(sources=sources, train=TRAIN).go()
    files = painted(tmp_path / "class")
    assert len(files) == 5
    (folder,) = {path.parent for path in files}
    assert (tmp_path / "class" / folder / "00003.txt").read_text() == f"{ASKED[1]}\n"
    shown = [np.asarray(Image.open(tmp_path / "class" / path)) for path in files]
    assert {one.shape for one in shown} == {(64, 64, 3)}
    assert len({one.tobytes() for one in shown}) == 5
    # they go the way of all pictures: origin, ledger, caption, latents; but they are a split of their own
    assert all(made.ledger[f"{number:05d}.png"]["state"] == "kept" for number in range(5))
    rows = [row for row in made.run.rows("views") if row["split"] == "prior"]
    assert sorted(row["caption"] for row in rows) == sorted([ASKED[0]] * 3 + [ASKED[1]] * 2)
    assert {row["view"] for row in rows} == {0}
    assert "5 of the class" in made.said["trainset"]
    assert made.run.json("training")["method"] == "dreambooth"
    assert "class pictures" in {row["of"] for row in made.run.rows("metrics")}
    assert {row["split"] for row in made.run.rows("stable_loss")} == {"train", "held_out", "prior"}


def test_nothing_is_painted_twice_and_a_taken_picture_is_painted_again_the_same(begun, sources, tmp_path):
    first = begun(sources=sources).go("ingest")
    files = painted(tmp_path / "class")
    for path in [*files][1:3]:
        (tmp_path / "class" / path).unlink()
    assert any(told[0] == "class pictures" for told in first.told)
    again = begun(sources=sources).go("ingest")
    assert {told[1:3] for told in again.told if told[0] == "class pictures"} == {(0, 2), (2, 2)}
    # one picture alone or among eight differs by rounding
    for path, before in files.items():
        one, other = (np.asarray(Image.open(tmp_path / "class" / path)).astype(int), _pixels(before))
        assert np.abs(one - other).max() <= 2
    third = begun(sources=sources).go("ingest")
    assert not any(told[0] == "class pictures" for told in third.told)


def _pixels(data):
    return np.asarray(Image.open(io.BytesIO(data))).astype(int)


@pytest.mark.parametrize(
    "change",
    [{"prompts": ("a blue square",)}, {"guidance": 3.0}, {"steps": 3}, {"seed": 9}],
    ids=str,
)
def test_what_decides_them_names_their_folder_and_their_number_does_not(begun, sources, change):
    recipe = begun(sources=sources).run.recipe
    source = recipe.sources[1]

    def place(**changes):
        return priors.place(recipe, source, source.painted.model_copy(update=changes))

    assert place(**change) != place() == place(count=9)


def test_they_are_painted_in_the_trainings_number_format(begun, sources, tmp_path):
    exact = begun(sources=sources, train={**TRAIN, "mixed_precision": "no"}).go("ingest")
    assert len(painted(tmp_path / "class")) == 5
    half = begun(sources=sources, train={**TRAIN, "mixed_precision": "bf16"}).go("ingest")
    assert len(painted(tmp_path / "class")) == 10
    folders = [
        priors.place(one.run.recipe, one.run.recipe.sources[1], one.run.recipe.sources[1].painted)
        for one in (exact, half)
    ]
    one, other = (_pixels((folder / "00000.png").read_bytes()) for folder in folders)
    assert 0 < np.abs(one - other).mean() < 12


def test_a_persons_own_class_pictures_do_as_well(begun, sources, pictures, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    for number in range(3):
        Image.fromarray(np.full((64, 64, 3), 80 * number, np.uint8)).save(own / f"own-{number}.png")
    sources[1] = {"path": str(own), "role": "prior", "class": "thing", "rights": {"license": "CC0-1.0"}}
    made = begun(sources=sources, train=TRAIN).go("ingest", "measure", "select", "caption", "review", "trainset")
    rows = [row for row in made.run.rows("views") if row["split"] == "prior"]
    assert len(rows) == 3
    assert not [path for path in own.iterdir() if path.is_dir()]


def test_only_class_pictures_are_painted(sources):
    sources[0]["painted"] = SCHOOL
    with pytest.raises(RecipeError, match="say role: prior"):
        parse({"name": "x", "sources": sources})


def test_painted_pictures_that_are_the_same_count_once(begun, sources, tmp_path):
    made = begun(sources=sources, train=TRAIN, dedup={"near": {"distance": 6}}).go("ingest")
    files = sorted((tmp_path / "class").rglob("*.png"))
    files[3].write_bytes(files[1].read_bytes())  # as a model does that has few ideas of a prompt
    again = begun(sources=sources, train=TRAIN).go("ingest", "measure", "select")
    states = {path.name: again.ledger[path.name]["state"] for path in files}
    assert sorted(states.values()).count("duplicate") == 1
    assert {states["00001.png"], states["00003.png"]} == {"kept", "duplicate"}
    assert made.run.workspace.root == again.run.workspace.root
