from dataclasses import replace

import pytest

from pipeline.reporting.galleries import MOST_COPIES, MOST_TILES, class_pictures, duplicates, left_out, measured
from pipeline.reporting.pictures import Album
from pipeline.reporting.record import LedgerRow


@pytest.mark.parametrize(
    ("value", "limit", "told"),
    [
        (0.08, 0.15, "0.08, wanted at least 0.15"),
        (12, 6, "12, wanted at most 6"),
        ("unknown", "CC0-1.0", "unknown, wanted CC0-1.0"),
        ("ends after 60 %", None, "ends after 60 %"),
        (None, 512, "wanted 512"),
        (None, None, ""),
    ],
)
def test_what_was_measured_and_wanted(value, limit, told):
    assert measured(LedgerRow("a.png", "s", "rejected", "select", "rule", value, limit)) == told


def test_the_biggest_problem_comes_first_and_in_it_the_worst_picture(record):
    many = [LedgerRow(f"{at}.png", "", "rejected", "quality", "blur", at / 100, 0.9) for at in range(60, 0, -1)]
    first, *_ = left_out(replace(record, ledger=[*record.ledger, *many]), Album({}))
    assert (first.title, first.total, len(first.tiles)) == ("blur", 60, MOST_TILES)
    assert [tile.origin for tile in first.tiles[:3]] == ["1.png", "2.png", "3.png"]
    assert first.shown == f"Showing {MOST_TILES} of 60, the worst first."


def test_each_file_left_out_is_counted_once(record):
    galleries = left_out(record, Album(record.thumbnails))
    states = ("kept", "held_out", "duplicate")
    assert sum(gallery.total for gallery in galleries) == sum(row.state not in states for row in record.ledger)


def test_what_was_forgotten_shows_neither_name_nor_picture(record):
    rows = [LedgerRow("secret.png", next(iter(record.thumbnails)), "forgotten", "read", "asked for")]
    (gallery,) = left_out(replace(record, ledger=rows), Album(record.thumbnails))
    assert (gallery.total, list(gallery.tiles)) == (1, [])


def test_duplicates_stand_beside_the_one_that_was_kept(record):
    galleries, total = duplicates(record, Album(record.thumbnails))
    assert total == len(galleries) == 3
    first = galleries[0]
    assert first.kept.name == "IMG_4100.jpg"
    assert first.kept.image is not None
    assert [tile.note for tile in first.tiles] == ["exact 0 (limit 6)", "near 2 (limit 6)", "near 5 (limit 6)"]


def test_a_crowd_of_duplicates_is_capped(record):
    rows = [LedgerRow(f"{at}.png", "", "duplicate", "d", "near", at, 9, "kept id") for at in range(40)]
    (gallery,), total = duplicates(replace(record, ledger=rows, captions=()), Album({}))
    assert (total, gallery.total, len(gallery.tiles)) == (1, 40, MOST_COPIES)
    assert gallery.kept.name == "kept id"


def test_class_pictures_are_shown_by_their_prompt(record):
    robot, star = class_pictures(record, Album(record.thumbnails))
    assert (robot.title, robot.total, len(robot.tiles)) == ("a robot", 2, 2)
    assert [tile.name for tile in robot.tiles] == ["00000.png", "00002.png"]
    assert star.title == "a star"
    assert class_pictures(replace(record, captions=[]), Album({})) == []


def test_class_pictures_with_a_caption_each_share_a_gallery(record):
    robots = [one for one in record.captions if one.split == "prior" and one.final == "a robot"]
    own = [replace(robots[0], sample_id=f"own{at}", final=f"scene {at:02d}") for at in range(40)]
    robot, scenes = class_pictures(replace(record, captions=[*robots, *own]), Album({}))
    assert robot.title == "a robot"
    assert (scenes.total, len(scenes.tiles)) == (40, MOST_TILES)
    assert [tile.note for tile in scenes.tiles[:2]] == ["scene 00", "scene 01"]
    assert scenes.shown == f"Showing {MOST_TILES} of 40."
