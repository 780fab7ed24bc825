import csv
import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flows import demo
from pipeline import plan
from pipeline.errors import InputError
from pipeline.imaging import decode
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.starter import collection, pictures, quality
from pipeline.workspace import Workspace

GOOD = collection.SUBJECTS
KINDS = {
    "near-duplicate": 8,
    "same bytes": 1,
    "same pixels": 1,
    "blurred": 3,
    "dark": 3,
    "tiny": 3,
    "licence not allowed": 3,
    "licence unknown": 2,
    "corrupt": 3,
}


def tree(folder):
    return {
        path.name: (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.iterdir())
    }


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "pictures"
    return folder, collection.demo(folder)


@pytest.fixture(scope="module")
def prepared(planted, tmp_path_factory):
    folder, _ = planted
    before = tree(folder)
    workspace = Workspace.create(tmp_path_factory.mktemp("demo") / "w")
    run = Run.create(workspace, demo.recipe(folder), command="a test")
    for step in ("ingest", "measure", "select"):
        plan.do(run, step, Tools(workspace, workers=1))
    return run, before


def test_the_planted_truth_is_complete(planted):
    folder, truth = planted
    files = {path.name for path in folder.iterdir() if path.suffix in (".png", ".jpg", ".bmp")}
    assert Counter(truth.values()) == KINDS
    assert set(truth) <= files
    assert files - set(truth) == {f"robot-{number:02d}.png" for number in range(GOOD)}
    assert json.loads((folder.parent / "planted.json").read_text()) == truth
    assert not (folder / "planted.json").exists()


def test_the_planted_truth_is_true(planted):
    folder, truth = planted

    def of(wrong):
        return [folder / name for name, said in truth.items() if said == wrong]

    def pixels(path):
        return np.asarray(Image.open(path).convert("RGB"))

    assert (folder / "twin-of-robot-20.png").read_bytes() == (folder / "robot-20.png").read_bytes()
    twin = folder / "reencoded-robot-21.bmp"
    assert twin.read_bytes() != (folder / "robot-21.png").read_bytes()
    assert (pixels(twin) == pixels(folder / "robot-21.png")).all()
    assert all(max(pixels(path).shape[:2]) == 40 for path in of("tiny"))
    assert all(pixels(path).max() < 20 for path in of("dark"))
    for number in range(4):
        near = pixels(folder / f"recompressed-{number}.jpg").astype(int)
        assert 0 < np.abs(near - pixels(folder / f"robot-{10 + number:02d}.png")).mean() < 6


def test_rights_stand_beside_the_pictures(planted):
    folder, truth = planted
    with (folder / "metadata.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["file_name"]: row for row in csv.DictReader(file)}
    assert set(rows) == {path.name for path in folder.iterdir()} - {"metadata.csv"} - {
        path.name for path in folder.glob("*.txt")
    }
    for name, row in rows.items():
        wanted = {"licence not allowed": "CC-BY-NC-4.0", "licence unknown": ""}.get(truth.get(name, ""), "CC0-1.0")
        assert row["license"] == wanted


def test_three_of_four_good_pictures_have_a_caption_that_is_true(planted):
    folder, _ = planted
    texts = sorted(folder.glob("*.txt"))
    assert len(texts) == GOOD * 3 // 4
    for path in texts:
        ground, _ = quality.seen(decode(path.with_suffix(".png").read_bytes()).pixels)
        assert path.read_text().endswith(f"on {pictures.an(ground)} background\n")


def test_the_same_pictures_are_drawn_again(planted, tmp_path):
    collection.demo(tmp_path / "again")
    first = {name: digest for name, (_, digest) in tree(planted[0]).items()}
    assert {name: digest for name, (_, digest) in tree(tmp_path / "again").items()} == first


def test_preparation_catches_all_that_was_planted_and_loses_nothing_good(planted, prepared):
    _, truth = planted
    run, _ = prepared
    told = demo.caught(run, truth)
    for wrong, count in KINDS.items():
        assert f"{wrong}: {count} of {count}" in told
    assert f"good pictures lost: 0 of {GOOD}" in told


WHY = {
    "near-duplicate": ("duplicate", "looks alike"),
    "same bytes": ("duplicate", "same bytes"),
    "same pixels": ("duplicate", "same pixels"),
    "blurred": ("rejected", "sharpness__score too low"),
    "dark": ("rejected", "exposure__dark too high"),
    "tiny": ("rejected", "resolution__short_side too low"),
    "licence not allowed": ("rejected", "licence not allowed"),
    "licence unknown": ("rejected", "licence unknown"),
}


def test_the_ledger_gives_the_true_reason(planted, prepared):
    _, truth = planted
    ledger = {Path(row["origin"]).name: row for row in prepared[0].rows("ledger")}
    for name, wrong in truth.items():
        row = ledger[name]
        if wrong == "corrupt":
            assert (row["state"], row["stage"]) == ("quarantined", "ingest")
        else:
            assert (row["state"], row["reason"]) == WHY[wrong], name
    origins = {row["sample_id"]: Path(row["origin"]).name for row in prepared[0].rows("origins")}
    for number in range(4):
        assert origins[ledger[f"smaller-{number}.png"]["kept_instead"]] == f"robot-{number:02d}.png"
        assert origins[ledger[f"recompressed-{number}.jpg"]["kept_instead"]] == f"robot-{10 + number:02d}.png"


def test_the_source_folder_is_never_changed(planted, prepared):
    assert tree(planted[0]) == prepared[1]


def test_plain_pictures_have_captions_beside_them(tmp_path):
    said = collection.plain(tmp_path / "some", count=3, seed=5, side=32)
    assert said.startswith("3 pictures with captions")
    for number in range(3):
        drawn = pictures.picture(5 + number, side=32)
        shown = decode((tmp_path / "some" / f"{number:05d}.png").read_bytes()).pixels
        assert (shown == drawn.pixels).all()
        assert (tmp_path / "some" / f"{number:05d}.txt").read_text() == drawn.caption + "\n"


@pytest.mark.parametrize("make", [collection.demo, lambda folder: collection.plain(folder, count=1)])
def test_a_folder_that_is_not_empty_is_left_alone(tmp_path, make):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError) as caught:
        make(tmp_path)
    assert caught.value.field == "--to"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
