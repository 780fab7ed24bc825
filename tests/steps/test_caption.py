import json
from typing import Any

import pytest

from flows.life import life
from pipeline.captioners import blip
from pipeline.captioning import Caption
from pipeline.errors import PictureError, RecipeError
from pipeline.imaging import decode
from pipeline.stage import Tools
from pipeline.steps.caption import Captioning, _tidy

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
    VERSION, READS, LOOKS, SENTENCES = 3, (), True, True
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


def test_what_machines_say_without_meaning_it_goes_and_is_recorded():
    made = _tidy(["a picture of a cat", "a cat", "arafed dog"], clean=True, prompt="")
    assert made == {
        "body": "a cat", "candidates": ["dog"], "said": "a picture of a cat",
        "changes": ["took out “a picture of”"],
    }  # fmt: skip
    assert _tidy(["a picture of a cat"], clean=False, prompt="")["body"] == "a picture of a cat"
    kept = _tidy(["a picture of a cat cat cat"], clean=True, prompt="a picture  of")
    assert (kept["body"], kept["changes"]) == ("a picture of a cat", ["“cat” once, not 3 times"])
    assert _tidy([], clean=True, prompt="") == {"body": "", "candidates": [], "said": None, "changes": []}


def test_what_people_write_instead_goes_into_every_candidate_but_the_prompt_and_is_recorded():
    how = {"clean": True, "prompt": "a photo of", "instead": {"photo": "painting", "cat": "tabby", "very red": ""}}
    made = _tidy(["a photo of a cat a very red cat", "a photo of a cat"], **how)
    assert made == {
        "body": "a photo of a tabby", "candidates": [], "said": "a photo of a cat a very red cat",
        "changes": ["“tabby” instead of “cat”", "took out “very red”", "“a tabby” once, not 2 times"],
    }  # fmt: skip


def test_replacements_say_nothing_anew_and_leave_what_stands_beside_files(finished, further):
    how = {"captioner": "blip", "model": "starter"}
    made = further(caption=how | {"replace": {"on": "ABOVE", "a": "one"}}).go(*BEFORE, "caption")
    assert (made.stats["blip"].computed, made.stats["blip"].cached) == (0, 4)
    for name, before in finished.named("captions").items():
        row = made.named("captions")[name]
        if before["source"] == "sidecar":
            assert row == before
        else:
            words = {"on": "ABOVE", "a": "one"}
            assert row["body"].split() == [words.get(word, word) for word in before["body"].split()]
            assert row["said"] == before["body"]
            assert "“one” instead of “a”" in row["changes"]


def test_tags_are_no_sentences_and_stay_as_they_are(further, tmp_path):
    words = ["car", "red car", "red car seat"]  # to sentence hygiene, a phrase said again
    vocabulary = tmp_path / "words.txt"
    vocabulary.write_text("".join(f"{word}\t-101\n" for word in words))
    caption = {"captioner": "clip_tags", "model": "starter", "params": {"vocabulary": str(vocabulary)}}
    made = further(caption=caption | {"prefer_sidecar": False}).go(*BEFORE, "caption")
    rows = made.named("captions").values()
    assert len(rows) > 8
    for row in rows:
        assert sorted(row["body"].split(", ")) == words
        assert not row["changes"]


def test_each_caption_says_what_made_it(finished):
    rows = finished.named("captions")
    assert json.loads(rows["00.png"]["made"]) == {}
    told = json.loads(rows["11.png"]["made"])
    assert told["captioner"] == "blip"
    assert told["model"] == "starter"
    assert told["weights"] == blip.weights(blip.Params())[:16]
    assert told["settings"]["num_beams"] == 3
    assert told["seed"] == 0


def test_a_new_captioner_never_touches_a_reviewed_caption(begun):
    other = {"captioner": "blip", "model": "starter", "prefer_sidecar": False}
    steps = (*BEFORE, "caption", "review", "trainset")
    made = begun(caption=other).go(*BEFORE, "caption")
    first = made.named("captions")
    made.decide("11.png", caption="what ann wrote", proposed=first["11.png"]["body"])
    made.decide("10.png", caption=first["10.png"]["body"], proposed=first["10.png"]["body"])
    drawn = {**other, "params": {"top_p": 0.999, "seed": 5, "max_tokens": 5}}
    again = type(made)(made.run.create(made.run.workspace, _recipe(made, drawn), command="a test")).go(*steps)
    second, reviewed = again.named("captions"), again.named("reviewed")
    assert second["11.png"]["body"] != first["11.png"]["body"]
    assert reviewed["11.png"]["caption"] == "what ann wrote"
    assert reviewed["10.png"]["caption"] == first["10.png"]["body"] != second["10.png"]["body"]
    assert "proposed anew since" in reviewed["11.png"]["flags"]
    trained = {row["caption"] for row in again.run.rows("views")}
    assert {"what ann wrote", first["10.png"]["body"]} <= trained
    # and the journal is as it was
    (journal,) = made.run.workspace.decisions.glob("*.jsonl")
    assert len(journal.read_text().splitlines()) == 2

    told = life(again.run, "11.png")["history"]
    assert [(one["by"], one["text"]) for one in told[:2]] == [
        ("blip", first["11.png"]["body"]),
        ("person:ann", "what ann wrote"),
    ]
    # what hygiene changed in the later words stands after them
    assert told[2]["by"] == "blip"
    assert told[-1]["text"] == second["11.png"]["body"]
    assert [one["parent"] for one in told[:3]] == [None, told[0]["id"], None]
    assert told[2]["told"]["seed"] == 5
    assert told[1]["at"].startswith("20")


def _recipe(made, caption):
    return made.run.recipe.model_copy(update={"caption": Caption(**caption)})
