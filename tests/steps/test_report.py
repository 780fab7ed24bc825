import itertools
import json
from collections import Counter

import pytest

from pipeline import ledger
from pipeline.errors import AwaitingReview
from pipeline.steps import report

PREPARE = ("ingest", "measure", "select", "caption")


@pytest.fixture
def record(monkeypatch):
    """Writes a run's report; the record that it was written from."""

    def of(made):
        seen = []
        plain = report.report.write
        monkeypatch.setattr(report.report, "write", lambda one, path: seen.append(one) or plain(one, path))
        made.go("report")
        return seen[0]

    return of


def test_it_writes_a_page_and_its_facts_beside_it(finished):
    page = finished.run.folder / "report.html"
    assert finished.said["report"] == str(page)
    text = page.read_text(encoding="utf-8")
    assert text.lstrip().lower().startswith("<!doctype html>")
    assert finished.run.id in text
    assert finished.run.json("trainset")["digest"][:12] in text
    facts = json.loads((finished.run.folder / "report.json").read_text(encoding="utf-8"))
    assert facts["run_id"] == finished.run.id


def test_the_record_agrees_with_the_ledger(further, record):
    made = further(select={"sharpness__score": {"min": 1000.0}}).go(*PREPARE)
    found = record(made)
    rows = made.run.rows("ledger")
    assert Counter(row.state for row in found.ledger) == Counter(row["state"] for row in rows)
    assert [(row.origin, row.reason) for row in found.ledger] == [(row["origin"], row["reason"] or "") for row in rows]
    assert found.funnel[0].came_in == 14
    assert found.funnel[-1].went_on == sum(row["state"] in ledger.STAYED for row in rows)
    rejected = [row for row in found.ledger if row.state == "rejected"]
    assert all(isinstance(row.value, float) and row.limit == 1000.0 for row in rejected)
    assert sum(right.count for right in found.rights) == 14
    shown = set(found.thumbnails)
    assert {row["sample_id"] for row in rows if row["state"] != "quarantined"} <= shown


def test_the_record_of_a_whole_run_is_complete(finished, further, record):
    found = record(further().go("ingest", "measure", "select", "caption", "review", "trainset", "train", "evaluate"))
    assert [one.step for one in found.evaluations] == [0, 2, 4]
    assert [len(one.samples) for one in found.evaluations] == [2, 2, 2]
    assert [point.step for point in found.training] == [1, 2, 3, 4]
    assert [point.loss for point in found.training] == pytest.approx(finished.run.json("training")["losses"])
    assert [(one.name, one.of) for one in found.metrics] == [
        (row["name"], row["of"]) for row in finished.run.rows("metrics")
    ]
    assert len(found.stable_loss) == len(finished.run.rows("stable_loss"))
    assert found.trainset_digest == finished.run.json("trainset")["digest"]
    assert {weight.step for weight in found.weights} == {4}
    assert found.weights[0].path.endswith(".safetensors")
    assert {one.name for one in found.stages} >= {"ingest", "measure", "edges", "blip", "latents", "texts", "train"}
    assert found.base_model == "starter"
    assert found.recipe_yaml == found.recipe_yaml.strip() + "\n"


def test_captions_are_followed_from_machine_to_training(copied, record):
    made = copied().go(*PREPARE)
    made.decide("08.png", caption="what a person saw")
    found = {row.origin.rpartition("/")[2]: row for row in record(made.go("review", "trainset")).captions}
    assert len(found) == 12
    assert found["08.png"].reviewed == "what a person saw"
    assert found["08.png"].final == "sks thing, what a person saw"
    assert found["08.png"].machine != found["08.png"].reviewed
    assert found["01.png"].reviewed is None
    assert found["01.png"].final == f"sks thing, {found['01.png'].machine}"
    assert {row.split for row in found.values()} == {"train", "held_out"}


def test_the_sheet_shows_views_of_training_pictures(further, record):
    made = further().go(*PREPARE, "review", "trainset")
    sheet = record(made).views
    trained = {row["sample_id"] for row in made.run.rows("views") if row["split"] == "train"}
    assert {one.sample_id for one in sheet} <= trained
    assert Counter(one.view for one in sheet) == {0: len(sheet) // 2, 1: len(sheet) // 2}
    assert {one.label for one in sheet} == {"as it is", "RandomBrightnessContrast"}
    assert all(one.picture.shape == (64, 64, 3) for one in sheet)
    assert len(sheet) <= report.SHEET_PICTURES * 2


def test_a_run_that_waits_has_a_report(begun, record):
    made = begun(caption={"captioner": "sidecar"}, review={"require": "all"}).go(*PREPARE)
    with pytest.raises(AwaitingReview):
        made.go("review")
    found = record(made)
    assert Counter(row.state for row in found.ledger)["awaiting_review"] == 12
    assert found.training == []
    assert found.evaluations == []
    assert found.weights == []
    assert found.trainset_digest == ""


@pytest.mark.parametrize(
    ("text", "value"), [("0.25", 0.25), ("40", 40.0), (None, None), ("CC-BY-4.0", "CC-BY-4.0"), ("", "")]
)
def test_figures_are_numbers_where_they_can_be(text, value):
    assert report._figure(text) == value


def test_an_original_that_is_gone_costs_its_thumbnail_alone(begun, record):
    made = begun(caption={"captioner": "sidecar"}).go(*PREPARE)
    gone = made.ledger["05.png"]["sample_id"]
    made.run.workspace.original(gone).unlink()
    found = record(made)
    assert gone not in found.thumbnails
    assert len(found.thumbnails) == 11


def test_everything_that_takes_long_is_told_from_nothing_to_its_end(finished):
    told = {}
    for name, done, total, *_ in finished.told:
        told.setdefault(name, []).append((done, total))
    assert {"ingest", "measure", "edges", "latents", "texts", "train", "samples", "losses", "thumbnails"} <= set(told)
    for name, parts in told.items():
        assert parts[0][0] == 0, name
        assert parts[-1][0] == parts[-1][1], name
        assert all(later[0] >= earlier[0] or later[0] == 0 for earlier, later in itertools.pairwise(parts)), name
