import pytest
from huggingface_hub import constants

from pipeline import models
from pipeline.steps import review, trainset
from pipeline.steps.reading import Composer, Reader
from pipeline.steps.select import load_kept
from pipeline.trainset.lengths import Ruler

BEFORE = ("ingest", "measure", "select", "caption", "review")
SIDECAR = {"captioner": "sidecar"}
LONG = "a small red circle on a blue background, " * 12


def made_by(begin, compose="{trigger} {class}, {body}", **changes):
    return begin(caption={**SIDECAR, "compose": compose, "remove": ["ugly"]}, **changes).go(*BEFORE)


def test_what_is_composed_is_what_training_gets(finished):
    kept = list(load_kept(finished.run))
    bodies = {row["sample_id"]: row["caption"] for row in finished.run.rows("reviewed")}
    made = Composer(finished.run, kept).all(bodies)
    assert made == trainset.composed(finished.run, kept)
    assert set(made.values()) == {row["caption"] for row in finished.run.rows("views")}


def test_a_caption_is_measured_with_all_that_stands_around_it_and_flagged_where_it_is_cut(begun):
    made = made_by(begun, compose="{trigger} {class}, {body}, " + "on the left, " * 6)
    pictures = review.pictures_of(made.run)
    reader = Reader(made.run, pictures)
    read = reader.read(pictures[0].sample_id, "an ugly dog")
    assert read.caption.startswith("sks thing, an dog, on the left")
    assert read.tokens == Ruler(models.locate("starter")).measure(read.caption).tokens
    assert (read.longest, read.characters) == (77, len(read.caption))
    before = {row.sample_id: row for row in review.rows_of(made.run)}
    assert not any("cut at 77 tokens" in row.flags or row.unread for row in before.values())
    made.decide("03.png", caption=LONG)
    after = {row.origin.rpartition("/")[2]: row for row in review.rows_of(made.run)}
    row = after.pop("03.png")
    assert row.flags[-1] == "cut at 77 tokens"
    read = reader.read(row.sample_id, LONG)
    assert row.unread == read.caption[read.characters :].strip()
    assert read.tokens > 77
    assert not any(row.unread for row in after.values())


def test_a_cut_caption_is_one_that_a_person_has_to_look_at(begun, pictures):
    long = pictures / "03.txt"
    before = long.read_text(encoding="utf-8")
    try:
        long.write_text("a red ü, " * 20, encoding="utf-8")
        made = made_by(begun, review={"require": "flagged", "undecided": "exclude"})
    finally:
        long.write_text(before, encoding="utf-8")
    assert made.ledger["03.png"]["state"] == "awaiting_review"
    assert "cut at 77 tokens" in made.named("reviewed")["03.png"]["flags"]


@pytest.mark.parametrize("kind", ["hub", "file", "vae"])
def test_no_review_fetches_or_unpacks_a_model(begun, tmp_path, monkeypatch, kind):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    single = tmp_path / "model.safetensors"
    single.write_bytes(b"no model at all")
    base = {"hub": "some/model", "file": str(single), "vae": "starter"}[kind]
    changes = {"base_model": {"id": base}}
    if kind == "vae":
        changes["train"] = {"method": "vae", "steps": 2}
    made = begun(caption={**SIDECAR, "compose": "{body}"}, **changes).go("ingest", "measure", "select", "caption")
    pictures = review.pictures_of(made.run)
    read = Reader(made.run, pictures).read(pictures[0].sample_id, LONG)
    assert read.caption == LONG.strip(" ,")
    if kind == "vae":
        assert (read.characters, read.tokens, read.longest) == (None, None, None)
    else:
        length = Ruler(None).measure(read.caption)
        assert (read.characters, read.tokens, read.longest) == (length.read, length.tokens, 77)
    assert not (tmp_path / "hub").exists()


def test_what_the_cache_of_the_hub_has_is_read_by_its_own_words(begun, tmp_path, monkeypatch):
    folder = tmp_path / "hub" / "models--some--model"
    snapshot = folder / "snapshots" / "abc"
    (snapshot / "tokenizer").mkdir(parents=True)
    starter = models.locate("starter")
    (snapshot / "model_index.json").write_bytes((starter / "model_index.json").read_bytes())
    for path in (starter / "tokenizer").iterdir():
        (snapshot / "tokenizer" / path.name).write_bytes(path.read_bytes())
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    made = begun(caption={**SIDECAR, "compose": "{body}"}, base_model={"id": "some/model"})
    made.go("ingest", "measure", "select", "caption")
    pictures = review.pictures_of(made.run)
    read = Reader(made.run, pictures).read(pictures[0].sample_id, "a yellow zebra crossing")
    assert read.tokens == Ruler(starter).measure(read.caption).tokens != Ruler(None).measure(read.caption).tokens
