import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from pipeline import models
from pipeline.errors import InputError
from pipeline.imaging import decode
from pipeline.stage import Tools
from pipeline.starter.vae import to_model
from pipeline.steps import trainset

BEFORE = ("ingest", "measure", "select", "caption", "review")


def test_views_are_composed_split_and_named_by_their_digest(finished):
    rows, facts = finished.run.rows("views"), finished.run.json("trainset")
    bodies = {row["sample_id"]: row["caption"] for row in finished.run.rows("reviewed")}
    assert all(row["caption"] == f"sks thing, {bodies[row['sample_id']]}" for row in rows)
    assert all(row["repeats"] == 2 and row["licenses"] == ["CC0-1.0"] for row in rows)
    assert facts == {
        "digest": facts["digest"],
        "rows": len(rows),
        "train": sum(row["split"] == "train" for row in rows),
        "encoded": [
            path.name
            for kind in ("latents", "texts")
            for path in (finished.run.workspace.root / "cache" / kind).iterdir()
        ],
    }
    folder = finished.run.workspace.trainsets / facts["digest"]
    assert pq.read_table(folder / "manifest.parquet").to_pylist() == rows
    assert facts["digest"] in (folder / "card.md").read_text()
    assert "CC0-1.0" in (folder / "ATTRIBUTION.md").read_text()


def test_held_out_pictures_have_one_view_and_no_part_in_training(finished):
    views = {}
    for row in finished.run.rows("views"):
        views.setdefault((row["split"], row["sample_id"]), []).append(row["view"])
    assert {tuple(found) for (split, _), found in views.items() if split == "held_out"} == {(0,)}
    assert {tuple(found) for (split, _), found in views.items() if split == "train"} == {(0, 1)}
    tools = Tools(finished.run.workspace, workers=1)
    seen = {row["sample_id"] for row in trainset.examples(finished.run, "train", tools).rows}
    held = {row["sample_id"] for row in trainset.examples(finished.run, "held_out", tools).rows}
    assert seen
    assert held
    assert not seen & held
    ledger = {row["sample_id"]: row["state"] for row in finished.run.rows("ledger") if row["stage"] is None}
    assert {ledger[one] for one in seen} == {"kept"}
    assert {ledger[one] for one in held} == {"held_out"}
    assert tools.stats == []


def test_latents_and_texts_are_those_of_the_picture_and_its_caption(finished):
    examples = trainset.examples(finished.run, "train", Tools(finished.run.workspace, workers=1))
    number = next(number for number, row in enumerate(examples.rows) if row["view"] == 0)
    batch = examples.batch([number])
    assert batch.ids == (examples.rows[number]["sample_id"],)
    pixels = decode(finished.run.workspace.original(batch.ids[0]).read_bytes()).pixels
    encoder, words = models.load_text_encoder("starter")
    ids = words(examples.rows[number]["caption"], padding="max_length", truncation=True, return_tensors="pt").input_ids
    with torch.no_grad():
        moments = models.load_vae("starter").encode(to_model(np.array([pixels]))).latent_dist.parameters
        text = encoder(ids)[0]
    assert torch.allclose(batch.moments, moments, atol=1e-3)
    assert torch.allclose(batch.text, text, atol=1e-4)
    assert examples.scale == models.load_vae("starter").config.scaling_factor
    assert examples.digest == finished.run.json("trainset")["digest"]


def test_assembled_again_nothing_is_computed_and_the_digest_is_the_same(finished, further):
    made = further().go(*BEFORE, "trainset")
    assert made.run.json("trainset") == finished.run.json("trainset")
    assert (made.stats["latents"].computed, made.stats["texts"].computed) == (0, 0)


def test_a_new_trigger_makes_new_texts_and_no_new_latents(finished, further):
    caption = {"captioner": "blip", "model": "starter", "compose": "{trigger} of a {class}, {body}"}
    made = further(caption=caption).go(*BEFORE, "trainset")
    assert made.run.json("trainset")["digest"] != finished.run.json("trainset")["digest"]
    assert made.stats["latents"].computed == 0
    assert made.stats["texts"].computed == len({row["caption"] for row in made.run.rows("views")})


def test_only_a_changed_caption_makes_a_new_text(copied):
    made = copied().go("ingest", "measure", "select", "caption")
    made.decide("04.png", caption="a thing that a person saw")
    made.go("review", "trainset")
    assert made.stats["texts"].computed == 1
    assert "sks thing, a thing that a person saw" in {row["caption"] for row in made.run.rows("views")}


def test_transforms_that_a_caption_forbids_are_refused_with_a_reason(further):
    flip = {"views": 2, "transforms": [{"HorizontalFlip": {"p": 1.0}}]}
    made = further(augment=flip).go(*BEFORE, "trainset")
    for row in made.run.rows("views"):
        if "left" in row["caption"] or "right" in row["caption"]:
            assert row["view"] == 0
        elif row["view"]:
            assert json.loads(row["transforms"]) == [{"HorizontalFlip": {"p": 1.0}}]
    assert {row["view"] for row in made.run.rows("views")} == {0, 1}


def test_with_nothing_left_to_train_on_it_ends_with_the_remedy(further):
    made = further(rights={"allow": []}).go(*BEFORE)
    with pytest.raises(InputError, match="no picture is left to train on") as caught:
        made.go("trainset")
    assert "gesso ledger" in str(caught.value)
    assert made.run.json("trainset") == {}


def test_captions_are_composed_of_tags_and_sidecars_shuffled_and_rid_of_words(further, tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("\n".join(f"{one}\t-101" for one in ("red", "watermark", "star")))
    caption = {
        "captioner": "blip", "model": "starter", "prefer_sidecar": False,
        "tags": {"tagger": "clip_tags", "params": {"vocabulary": str(words)}},
        "compose": "{trigger}, {class}, {tags}, {body}, {sidecar}, end", "triggers": {"thing": "zwx", "dog": "sks"},
        "remove": ["watermark"], "shuffle": True, "keep_tokens": 2,
    }  # fmt: skip
    made = further(caption=caption, augment={"views": 3}).go(*BEFORE, "trainset")
    tagged = made.named("captions")
    assert all(sorted(row["tags"].split(", ")) == ["red", "star", "watermark"] for row in tagged.values())
    views = {}
    for row in made.run.rows("views"):
        views.setdefault(row["sample_id"], {})[row["view"]] = row["caption"]
    bodies = {row["sample_id"]: row["caption"] for row in made.run.rows("reviewed")}
    several = [own for own in views.values() if len(own) == 3]
    assert several
    for sample_id, own in views.items():
        parts = own[0].split(", ")
        assert parts[:2] == ["zwx", "thing"]
        assert set(parts[2:4]) == {"red", "star"}
        assert parts[-1] == "end"
        assert bodies[sample_id] in own[0]
        assert "watermark" not in own[0]
        assert all(
            sorted(text.split(", ")) == sorted(parts) and text.startswith("zwx, thing, ") for text in own.values()
        )
    assert any(own[1] != own[0] for own in several)


def test_the_report_marks_what_the_text_encoder_does_not_read(further):
    long = ", ".join(f"part {number}" for number in range(40))
    made = further(caption={"captioner": "sidecar", "compose": "{body}, " + long}).go(*BEFORE, "trainset", "report")
    page = (made.run.folder / "report.html").read_text(encoding="utf-8")
    assert page.count('class="unread"') == 12
    assert "longer than the text encoder reads" in page
    assert "part 39" in page.partition('class="unread"')[2]
