"""Masks from beside pictures to the loss: in the ledger as what they are, and computed again where they change."""

import numpy as np
import pytest

from pipeline import imaging, plan
from pipeline.errors import InputError, RecipeError
from pipeline.recipe import parse
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.starter import collection
from pipeline.steps import trainset
from pipeline.workspace import Workspace

BEFORE = ("ingest", "measure", "select", "caption", "review", "trainset")


def half(side, *, left):
    pixels = np.zeros((side, side, 3), np.uint8)
    pixels[:, : side // 2] = 255 if left else 0
    pixels[:, side // 2 :] = 0 if left else 255
    return imaging.encode_png(pixels)


@pytest.fixture
def pictures(tmp_path):
    """Four pictures; the first has a mask beside it, the second one in the folder of masks, the third one that lies."""
    folder = tmp_path / "pictures"
    collection.plain(folder, count=4)
    names = sorted(path.stem for path in folder.glob("*.png"))
    (folder / f"{names[0]}-masklabel.png").write_bytes(half(64, left=True))
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / f"{names[1]}.png").write_bytes(half(32, left=False))
    (folder / "nobody-masklabel.png").write_bytes(half(64, left=False))
    return folder, names


@pytest.fixture
def prepare(pictures, tmp_path):
    folder, _ = pictures

    def go(steps=BEFORE, **train):
        recipe = parse(
            {
                "name": "masked",
                "sources": [{"path": str(folder), "masks": str(tmp_path / "masks"), "rights": {"license": "CC0-1.0"}}],
                "rights": {"allow": ["CC0-1.0"]},
                "dedup": {"near": None},
                "split": {"held_out": 0},
                "buckets": {"resolution": 64, "step": 8},
                "augment": {"views": 3, "transforms": [{"HorizontalFlip": {"p": 1.0}}], "insist": True},
                "train": {"masked_loss": True, "steps": 1, "batch_size": 2, "rank": 1, **train},
            }
        )
        made = Run.create(Workspace.create(tmp_path / "w"), recipe, command="test")
        for step in steps:
            plan.do(made, step, Tools(made.workspace, workers=1))
        return made

    return go


def masks_of(made):
    """Means of the left and right half of each picture's mask, by file name and view."""
    examples = trainset.examples(made, "train", Tools(made.workspace, workers=1))
    names = {row["sample_id"]: row["origin"].rpartition("/")[2][:-4] for row in made.rows("origins")}
    batch = examples.batch(range(len(examples.rows)))
    half = batch.mask.shape[-1] // 2
    return {
        (names[row["sample_id"]], row["view"]): (float(one[..., :half].mean()), float(one[..., half:].mean()))
        for row, one in zip(examples.rows, batch.mask, strict=True)
    }


def test_masks_go_to_the_loss_with_their_pictures(prepare, pictures):
    _, (first, second, third, _) = pictures
    made = prepare()
    states = {row["origin"].rpartition("/")[2]: (row["state"], row["reason"]) for row in made.rows("ledger")}
    assert states[f"{first}-masklabel.png"] == ("mask", "mask of a picture")
    assert states["nobody-masklabel.png"] == ("quarantined", "mask_alone")
    assert list(states.values()).count(("kept", None)) == 4
    assert len(made.rows("samples")) == 4
    found = masks_of(made)
    assert found[first, 0] == (1, 0)
    assert found[first, 1] == found[first, 2] == (0, 1)
    # one of half the size is enlarged, which blends its edge
    assert found[second, 0] == pytest.approx((0, 1), abs=0.02)
    assert found[second, 1] == pytest.approx((1, 0), abs=0.02)
    assert found[third, 0] == found[third, 1] == (1, 1)


def test_a_mask_that_was_edited_makes_its_rows_and_another_training_set(prepare, pictures):
    folder, (first, *_) = pictures
    before = prepare()
    again = prepare()
    (folder / f"{first}-masklabel.png").write_bytes(half(64, left=False))
    after = prepare()
    computed = [{one.name: one.computed for one in made.stats()} for made in (before, again, after)]
    assert [one["masks"] for one in computed] == [12, 0, 3]
    assert [one["latents"] for one in computed] == [12, 0, 0]
    assert before.training == again.training != after.training
    assert masks_of(after)[first, 0] == (0, 1)


def test_masks_that_nobody_asks_for_change_nothing(prepare, pictures):
    folder, (first, *_) = pictures
    plain = prepare(masked_loss=False)
    (folder / f"{first}-masklabel.png").write_bytes(half(64, left=False))
    assert prepare(masked_loss=False).json("trainset") == plain.json("trainset")
    assert trainset.examples(plain, "train", Tools(plain.workspace)).masks is None


def test_a_masked_loss_without_masks_is_told(prepare, pictures, tmp_path):
    folder, _ = pictures
    for mask in [*folder.glob("*-masklabel.png"), *(tmp_path / "masks").iterdir()]:
        mask.unlink()
    with pytest.raises(RecipeError, match=r"train\.masked_loss.*masklabel"):
        prepare()


def test_a_folder_of_masks_that_is_not_there_is_told(prepare, tmp_path):
    for one in (tmp_path / "masks").iterdir():
        one.unlink()
    (tmp_path / "masks").rmdir()
    with pytest.raises(InputError, match="masks"):
        prepare(steps=("ingest",))


def test_the_loss_of_a_run_is_the_masked_one(prepare):
    masked, plain = (prepare((*BEFORE, "train"), masked_loss=asked) for asked in (True, False))
    assert masked.json("training")["losses"] != plain.json("training")["losses"]
