from typing import Any

import pytest

from pipeline.captioners import blip
from pipeline.errors import PictureError, RecipeError
from pipeline.imaging import decode
from pipeline.stage import Tools
from pipeline.steps.caption import Captioning

BEFORE = ("ingest", "measure", "select")


def test_a_sidecar_goes_before_the_machine(finished, pictures):
    rows = finished.named("captions")
    assert len(rows) == 12
    for name, row in rows.items():
        beside = pictures / name.replace(".png", ".txt")
        if beside.exists():
            assert (row["body"], row["source"]) == (beside.read_text(), "sidecar")
        else:
            assert row["source"] == blip.provenance(blip.Params(model="starter"))
            assert row["body"]
        assert row["error"] is None
    assert finished.said["caption"].startswith("12 captions, 8 of them from beside the files")
    assert finished.stats["blip"].computed == 4


def test_the_machines_caption_is_the_captioners_own(finished, pictures):
    pixels = decode((pictures / "11.png").read_bytes()).pixels
    (said,) = blip.caption([{"pixels": pixels}], blip.Params(model="starter"))
    assert finished.named("captions")["11.png"]["body"] == said


def test_captioned_again_nothing_is_computed(finished, further):
    made = further().go(*BEFORE, "caption")
    assert (made.stats["blip"].computed, made.stats["blip"].cached) == (0, 4)
    assert made.run.rows("captions") == finished.run.rows("captions")


def test_without_preference_the_machine_captions_all_and_what_it_said_is_not_said_again(finished, further):
    caption = {"captioner": "blip", "model": "starter", "prefer_sidecar": False}
    made = further(caption=caption).go(*BEFORE, "caption")
    assert {row["source"] for row in made.run.rows("captions")} == {"blip starter"}
    assert (made.stats["blip"].computed, made.stats["blip"].cached) == (8, 4)
    assert made.said["caption"].startswith("12 captions, 0 of them from beside the files")


def test_the_sidecar_captioner_leaves_the_rest_empty_and_says_so(further):
    made = further(caption={"captioner": "sidecar"}).go(*BEFORE, "caption")
    assert made.said["caption"] == "12 captions, 8 of them from beside the files, 4 empty"
    empty = {name for name, row in made.named("captions").items() if not row["body"]}
    assert empty == {"08.png", "09.png", "10.png", "11.png"}


def test_a_dropped_picture_is_captioned_too_so_that_review_can_show_it(begun):
    made = begun(caption={"captioner": "sidecar"}).go("ingest", "measure")
    made.decide("02.png", verdict="drop")
    made.go("select", "caption")
    assert "02.png" in made.named("captions")
    assert made.ledger["02.png"]["state"] == "dropped_by_person"


def test_a_wrong_parameter_is_refused_by_its_place(further):
    made = further(caption={"captioner": "blip", "params": {"num_beams": 0}}).go(*BEFORE)
    with pytest.raises(RecipeError) as caught:
        made.go("caption")
    assert caught.value.field == "caption.params.num_beams"


class Looker:
    """A captioner that says how bright a picture is."""

    __name__ = "pipeline.captioners.looker"
    VERSION, READS, LOOKS = 3, (), True
    asked: list[Any]

    def __init__(self):
        self.asked = []

    def caption(self, rows, params, *, device):
        self.asked += [row["sample_id"] for row in rows]
        return [f"brightness {row['pixels'].mean():.0f}" for row in rows]


def test_a_picture_that_cannot_be_read_again_gets_an_error_and_costs_its_neighbours_nothing(finished, monkeypatch):
    ids = sorted(row["sample_id"] for row in finished.run.rows("kept"))[:3]
    torn = finished.run.workspace.original(ids[1]).read_bytes()

    def fails(data, **how):
        if data == torn:
            raise PictureError("truncated", "half of it is gone")
        return decode(data, **how)

    monkeypatch.setattr("pipeline.steps.caption.imaging.decode", fails)
    captioner = Looker()
    stage = Captioning(captioner)
    tools = Tools(finished.run.workspace, workers=1)
    made = stage.run([{"sample_id": one} for one in ids], blip.Params(), tools)
    assert captioner.asked == [ids[0], ids[2]]
    assert made[1] == {"error": "truncated: half of it is gone"}
    for place in (0, 2):
        mean = decode(finished.run.workspace.original(ids[place]).read_bytes()).pixels.mean()
        assert made[place] == {"caption__body": f"brightness {mean:.0f}"}
    assert (stage.VERSION, stage.__name__) == (3, "caption.looker")
