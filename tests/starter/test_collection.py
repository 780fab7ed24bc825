import csv
import hashlib
from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from pipeline.dedup import perceptual
from pipeline.duplicates import Near
from pipeline.errors import InputError, PictureError
from pipeline.imaging import decode
from pipeline.starter import collection, defects, pictures
from pipeline.starter.defects import GOOD, KINDS


def tree(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "pictures"
    return folder, collection.demo(folder)


def test_every_kind_of_trouble_is_there_and_three_of_five_files_are_good(planted):
    folder, truths = planted
    counted = Counter(one.kind for one in truths)
    assert set(counted) == {GOOD, *KINDS}
    assert len(truths) == collection.FILES == 300
    assert 0.55 < counted[GOOD] / len(truths) < 0.65
    beside = {"metadata.csv", *(path.name for path in folder.glob("*.txt"))}
    assert {one.file for one in truths} == {path.name for path in folder.iterdir()} - beside


def test_the_truth_lies_beside_the_folder_and_is_read_again(planted):
    folder, truths = planted
    assert collection.load(folder) == truths
    assert folder.with_name(f"{folder.name}-planted.json").is_file()
    assert not list(folder.glob("*planted*"))


def test_the_same_files_are_drawn_again(planted, tmp_path):
    assert collection.demo(tmp_path / "again") == planted[1]
    assert tree(tmp_path / "again") == tree(planted[0])


def test_what_ought_to_become_of_each_is_what_its_kind_asks_for(planted):
    for one in planted[1]:
        assert one.states == (defects.STAYS if one.kind == GOOD else KINDS[one.kind].states)


def test_a_copy_has_one_original_that_is_good_and_copied_once(planted):
    _, truths = planted
    good = {one.file for one in truths if one.kind == GOOD}
    copies = [one for one in truths if one.of]
    assert {one.kind for one in copies} == {name for name, kind in KINDS.items() if kind.copies}
    assert {one.of for one in copies} <= good
    assert len({one.of for one in copies}) == len(copies)


def test_exact_copies_and_broken_files_are_what_they_are_called(planted):
    folder, truths = planted
    for one in truths:
        data = (folder / one.file).read_bytes()
        if one.kind == "same bytes":
            assert data == (folder / one.of).read_bytes()
        elif one.kind == "same pixels":
            assert decode(data).pixel_id == decode((folder / one.of).read_bytes()).pixel_id
        elif one.states == ("quarantined",):
            assert one.caption == ""
            with pytest.raises(PictureError):
                decode(data)
        else:
            decode(data)


def test_good_pictures_do_not_look_alike_to_the_default_recipe(planted):
    folder, truths = planted
    near = Near()
    seen = [
        perceptual.measure(decode((folder / one.file).read_bytes()), perceptual.Params())
        for one in truths
        if one.kind == GOOD
    ]
    for one, other in combinations(seen, 2):
        colors = (np.array([each["perceptual__colors"]], np.uint64) for each in (one, other))
        assert (one["perceptual__hash"] ^ other["perceptual__hash"]).bit_count() > near.distance or (
            perceptual.colour_distance(*colors)[0] > near.colour
        )


def test_rights_stand_beside_the_pictures(planted):
    folder, truths = planted
    with (folder / "metadata.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["file_name"]: row["license"] for row in csv.DictReader(file)}
    assert rows == {one.file: collection.LICENSES.get(one.kind, "CC0-1.0") for one in truths}
    assert {"CC-BY-NC-4.0", "", "CC0-1.0"} == set(rows.values())


def test_captions_beside_the_files_are_true_but_for_the_wrong_ones(planted, seen):
    folder, truths = planted
    captioned = [one for one in truths if (folder / one.file).with_suffix(".txt").exists()]
    assert Counter(one.kind for one in captioned)["wrong caption"] == collection.COUNTS["wrong caption"]
    assert {one.kind for one in captioned} == {GOOD, "wrong caption"}
    good = [one for one in captioned if one.kind == GOOD]
    assert len(good) == pytest.approx(0.75 * sum(one.kind == GOOD for one in truths), abs=1)
    for one in captioned:
        said = (folder / one.file).with_suffix(".txt").read_text().strip()
        assert (said == one.caption) == (one.kind == GOOD)
        ground, _ = seen(decode((folder / one.file).read_bytes()).pixels)
        assert one.caption.endswith(f" {ground} background")
        assert said.endswith(f" {ground} background") == (one.kind == GOOD)


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
