import pytest

from pipeline.imaging import decode
from pipeline.manifest import table_of
from pipeline.matching.clip import Clip
from pipeline.stage import Tools
from pipeline.steps import fit
from pipeline.steps.review import rows_of
from pipeline.steps.select import KEPT

TO_CAPTIONS = ("ingest", "measure", "select", "caption")


def computed(run):
    tools = Tools(run.workspace)
    assert fit.measure(run, tools) == 12
    (stat,) = tools.stats
    return stat.computed


def test_every_caption_is_measured_once_as_it_would_be_alone(begun, pictures):
    run = begun().go(*TO_CAPTIONS).run
    assert computed(run) == 12
    assert computed(run) == 0
    rows = rows_of(run)
    for row in rows[:3]:
        seen = decode((pictures / row.origin.rpartition("/")[2]).read_bytes())
        (alone,) = Clip("starter").scores([seen.proxy], [row.caption])
        assert row.fit == pytest.approx(alone, abs=1e-3)


def test_where_nobody_measured_there_is_no_fit(finished):
    assert {row.fit for row in rows_of(finished.run)} == {None}


def test_planted_wrong_captions_are_the_worst_and_the_report_shows_them(begun):
    made = begun(caption={"captioner": "sidecar", "fit": True}).go("ingest", "measure", "select")
    wrong = "a small green star above a big yellow heart on a black background"
    rows = [{**row, "sidecar": row["sidecar"] or wrong} for row in made.run.rows("kept")]
    made.run.save("kept", table_of(rows, KEPT))
    made.go("caption", "review", "report")
    ranked = sorted(rows_of(made.run), key=lambda row: row.fit)
    assert {row.caption for row in ranked[:3]} == {wrong}
    page = (made.run.folder / "report.html").read_text(encoding="utf-8")
    assert "Captions that fit worst" in page
    assert wrong in page.partition("Captions that fit worst")[2]


def test_a_picture_is_decoded_once_for_all_its_texts(finished, monkeypatch):
    (row,) = finished.run.rows("kept")[:1]
    decoded = []
    monkeypatch.setattr("pipeline.steps.fit.imaging.decode", lambda data: decoded.append(data) or decode(data))
    asked = [{"sample_id": row["sample_id"], "pixel_id": row["pixel_id"], "body": f"a {word}"} for word in "xyz"]
    tools = Tools(finished.run.workspace)
    made = fit.Fit().run(asked, fit.Params(model="starter", field="caption.clip"), tools)
    assert len(decoded) == 1
    assert len({one["fit__clip"] for one in made}) == 3
