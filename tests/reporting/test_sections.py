from dataclasses import replace

import pytest

from pipeline.reporting.pictures import Album
from pipeline.reporting.record import Evaluation, RunRecord, Sample
from pipeline.reporting.sections import MOST_CAPTIONS, MOST_COLUMNS, MOST_ROWS, SECTIONS, filled


def names(record: RunRecord) -> list[str]:
    return [section.name for section, _ in filled(record, Album(record.thumbnails))]


def data(record: RunRecord, name: str) -> dict:
    return next(data for section, data in filled(record, Album(record.thumbnails)) if section.name == name)


def test_a_whole_run_fills_every_section(record):
    assert names(record) == [section.name for section in SECTIONS]


@pytest.mark.parametrize(
    ("field", "missing"),
    [
        ("funnel", {"funnel"}),
        ("ledger", {"left-out", "duplicates", "planted"}),
        ("planted", {"planted"}),
        ("captions", {"captions", "class-pictures"}),
        ("histograms", {"measured"}),
        ("variety", {"variety"}),
        ("views", {"augmentation"}),
        ("preflight", {"preflight"}),
        ("training", {"training"}),
        ("stable_loss", {"learning"}),
        ("evaluations", {"samples"}),
        ("metrics", {"metrics"}),
        ("resemblances", {"resemblances"}),
        ("rights", {"rights"}),
        ("stages", {"cost"}),
    ],
)
def test_a_part_that_is_absent_takes_its_section_along(record, field, missing):
    assert set(names(record)) - set(names(replace(record, **{field: ()}))) == missing


def test_without_a_review_nothing_is_learnt_of_it(record):
    assert set(names(record)) - set(names(replace(record, lessons=None))) == {"lessons"}


def test_every_section_explains_itself_in_one_sentence():
    for section in SECTIONS:
        assert section.lead.endswith(".")
        assert section.lead.count(". ") == 0


def test_flagged_captions_come_first_and_the_table_is_capped(record):
    many = [replace(record.captions[0], reviewed="x", flags=(), origin=f"{at}.png") for at in range(300)]
    flagged = replace(many[0], flags=("repeats",), reviewed=None, origin="z.png")
    shown = data(replace(record, captions=[*many, flagged]), "captions")
    assert shown["rows"][0][0] == flagged
    assert (len(shown["rows"]), shown["total"]) == (MOST_CAPTIONS, 301)


def test_captions_that_a_person_changed_come_before_those_that_were_left_as_they_are(record):
    first = record.captions[0]
    changed, unread, accepted = (
        replace(first, machine="x", reviewed=text, flags=(), origin=f"{text}.png") for text in ("y", None, "x")
    )
    shown = data(replace(record, captions=[accepted, unread, changed]), "captions")
    assert [row for row, _, _ in shown["rows"]] == [changed, unread, accepted]


def test_the_grid_has_the_base_model_first_and_the_same_seed_in_each_row(record):
    grid = data(record, "samples")
    assert grid["steps"] == [0, 100, 200, 300]
    (prompt, rows), _ = grid["prompts"]
    assert prompt == record.evaluations[0].samples[0].prompt
    assert [key for key, _ in rows] == [(prompt, 1), (prompt, 2), (prompt, 3)]
    assert all(image is not None for _, images in rows for image in images)


def test_a_sample_that_is_missing_leaves_its_cell_empty(record):
    first, second = record.evaluations[:2]
    holed = [first, Evaluation(second.step, second.samples[1:])]
    (_, rows), *_ = data(replace(record, evaluations=holed), "samples")["prompts"]
    assert [image is None for image in rows[0][1]] == [False, True]


def test_a_large_grid_is_cut_and_keeps_its_ends(record):
    picture = record.evaluations[0].samples[0].picture
    samples = [Sample(f"prompt {at}", 1, picture) for at in range(40)]
    grid = data(replace(record, evaluations=[Evaluation(step, samples) for step in range(20)]), "samples")
    assert grid["rows"] == (MOST_ROWS, 40)
    assert grid["columns"] == (MOST_COLUMNS, 20)
    assert (grid["steps"][0], grid["steps"][-1]) == (0, 19)
