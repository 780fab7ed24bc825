import cv2
import numpy as np
import pytest

from pipeline import plan
from pipeline.errors import ContaminationError, InputError
from pipeline.recipe import parse
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.steps import contamination, trainset
from pipeline.trainset import build
from pipeline.workspace import Workspace

FLIP = {"views": 2, "insist": True, "transforms": [{"HorizontalFlip": {"p": 1.0}}]}


def clouds(seed):
    noise = np.random.default_rng(seed).normal(128, 50, (6, 6, 3)).clip(0, 255).astype(np.uint8)
    return cv2.resize(noise, (200, 160), interpolation=cv2.INTER_CUBIC)


def save(path, pixels, quality=90):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])


@pytest.fixture
def reviewed(tmp_path):
    """A run of four pictures that went as far as the review, with its tools; keys of the recipe on top."""
    for seed in range(4):
        save(tmp_path / "photos" / f"{seed}.jpg", clouds(seed))
        (tmp_path / "photos" / f"{seed}.txt").write_text("clouds")
    workspace = Workspace.create(tmp_path / "w")

    def go(**keys):
        source = {"path": str(tmp_path / "photos"), "rights": {"license": "CC0-1.0"}}
        data = {"name": "gate", "sources": [source], "rights": {"allow": ["CC0-1.0"]}, "buckets": {"resolution": 128}}
        run, tools = Run.create(workspace, parse(data | keys), command="test"), Tools(workspace)
        for step in ("ingest", "measure", "select", "caption", "review"):
            plan.do(run, step, tools)
        return run, tools

    return go


def check(run, tools):
    kept = trainset.standing(run)
    rows = build.rows_of(kept, trainset.composed(run, kept), run.recipe.augment)
    contamination.check(run, rows, tools)


def against(folder, **more):
    return {"against": [{"name": "test-set", "path": str(folder)}], **more}


def test_a_recompressed_and_shrunk_picture_of_an_evaluation_set_ends_the_run(reviewed, tmp_path):
    save(tmp_path / "eval" / "deep" / "seen.jpg", cv2.resize(clouds(2), (120, 96)), quality=50)
    save(tmp_path / "eval" / "other.jpg", clouds(77))
    (tmp_path / "eval" / "notes.txt").write_text("no picture")
    run, tools = reviewed(contamination=against(tmp_path / "eval"))
    with pytest.raises(ContaminationError, match=r"1 pictures.*2\.jpg.*seen\.jpg of test-set") as caught:
        plan.do(run, "trainset", tools)
    assert caught.value.exit_code == 1
    (row,) = run.rows("contamination")
    assert (row["against"], row["view"]) == ("test-set", 0)
    assert not run.json("trainset")


def test_an_augmented_view_that_comes_to_look_like_one_ends_it_too(reviewed, tmp_path):
    save(tmp_path / "eval" / "mirrored.jpg", clouds(1)[:, ::-1])
    check(*reviewed(contamination=against(tmp_path / "eval")))
    run, tools = reviewed(contamination=against(tmp_path / "eval"), augment=FLIP)
    with pytest.raises(ContaminationError, match=r"1\.jpg \(view 1\) looks like"):
        check(run, tools)
    assert {row["view"] for row in run.rows("contamination")} == {1}


def test_another_picture_and_one_in_other_colours_pass(reviewed, tmp_path):
    save(tmp_path / "eval" / "new.jpg", clouds(50))
    save(tmp_path / "eval" / "recoloured.jpg", np.roll(clouds(0), 1, axis=2))
    run, tools = reviewed(contamination=against(tmp_path / "eval"))
    check(run, tools)
    assert run.rows("contamination") == []


def test_held_out_pictures_are_measured_on_too(reviewed, tmp_path):
    save(tmp_path / "photos" / "4.jpg", clouds(0)[:, ::-1])
    (tmp_path / "photos" / "4.txt").write_text("clouds")
    keys = {"split": {"held_out": 0.5, "min_groups": 2}, "augment": FLIP}
    for seed in range(20):
        run, tools = reviewed(**{**keys, "split": {**keys["split"], "seed": seed}}, contamination={"held_out": True})
        split = {one.origins[0]["origin"][-5]: one.split for one in trainset.standing(run)}
        if split["0"] != split["4"]:
            break
    with pytest.raises(ContaminationError, match="of held_out"):
        check(run, tools)
    check(*reviewed(**keys))


def test_a_folder_that_is_not_there_is_told_before_anything_runs(tmp_path):
    (tmp_path / "photos").mkdir()
    recipe = parse(
        {
            "name": "gate",
            "sources": [{"path": str(tmp_path / "photos")}],
            "contamination": against(tmp_path / "none"),
        }
    )
    with pytest.raises(InputError, match=r"contamination\.against\.0\.path"):
        plan.check(recipe)
