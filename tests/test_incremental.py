"""What each change of a finished run computes again: exactly what depends on it, stage by stage.

TABLE is the truth, which docs/incremental.md shows. Every change is made to a copy of one finished run; what is counted
are the rows that stages commit, the files that are read, the training's steps, and what is measured of the model.
"""

import json
import os
import shutil
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image, PngImagePlugin
from safetensors.torch import load_file, save_file

from pipeline import fused, imaging, models, plan, stage
from pipeline.dedup import edges, perceptual
from pipeline.recipe import parse
from pipeline.review import journal
from pipeline.run import Run
from pipeline.scorers import sharpness
from pipeline.stage import Tools
from pipeline.starter import collection
from pipeline.starter.pictures import picture
from pipeline.trainset import latents
from pipeline.workspace import Workspace

PICTURES, CAPTIONED, STEPS = 12, 6, 2
SCORERS = (
    "blockiness",
    "borders",
    "canonical",
    "exposure",
    "grayscale",
    "information",
    "noise",
    "resolution",
    "sharpness",
    "text",
    "uniformity",
    "watermark",
)
MEASURED = (*SCORERS, "perceptual")
STAGES = ("ingest", *MEASURED, "edges", "blip", "latents", "texts", "train", "samples", "scores", "losses")
"""What is counted: files read; rows of each stage; steps; pictures painted, scored by CLIP, and measured for loss."""


def measured(rows):
    return dict.fromkeys(MEASURED, rows)


def again(*, samples=1, scores=1, losses=PICTURES):
    """Another training: its steps, and what is measured after its last one; more is of the base model."""
    return {"train": STEPS, "samples": samples, "scores": scores, "losses": losses}


MODEL = again(samples=2, scores=2, losses=2 * PICTURES)
"""The base model and what was trained on it measured anew."""
VIEWS = 22
"""Latents of the pictures, ten of which have a second view: two are held out."""

TABLE: dict[str, dict[str, int]] = {
    "nothing": {},
    "a picture's file times": {"ingest": 1},
    "a file's name": {"ingest": 1},
    "the name of a folder of pictures": {"ingest": 12},
    "the place of the source": {"ingest": 12},
    "the place of the workspace": {},
    "the format of a file, not its pixels": {"ingest": 1, **measured(1), **again(losses=13)},
    "the metadata in a file, not its pixels": {"ingest": 1, **measured(1), **again(losses=13)},
    "a picture's pixels": {
        "ingest": 1,
        **measured(1),
        "edges": 1,
        "blip": 1,
        "latents": 2,
        "texts": 1,
        **again(scores=2, losses=13),
    },
    "one picture more": {
        "ingest": 1,
        **measured(1),
        "edges": 1,
        "blip": 1,
        "latents": 2,
        "texts": 1,
        **again(scores=2, losses=14),
    },
    "one picture less": again(scores=2, losses=11),
    "a caption beside a file": {"texts": 1, **again(losses=13)},
    "a caption beside a file that had none": {"texts": 1, **again(losses=13)},
    "a caption, by a reviewer": {"texts": 1, **again(losses=13)},
    "a picture dropped by a reviewer": again(scores=2, losses=11),
    "a rule's limit, which nothing fails": {},
    "a rule more, which one picture fails": again(scores=2, losses=11),
    "a scorer's parameter": {"sharpness": 12},
    "a scorer's VERSION": {"sharpness": 12},
    "the perceptual hash's VERSION": {"perceptual": 12, "edges": 12},
    "the version of the canonical pixels": {
        **measured(12),
        "edges": 12,
        "blip": 6,
        "latents": 24,  # other pixel ids, so that none is held out
        **again(scores=2, losses=24),
    },
    "the distance of near-duplicates, without another pair": {},
    "rights: another allowed licence of the source": again(),
    "rights: one more licence allowed": {},
    "the share held out": again(scores=2),
    "the captioner's parameters, with the same captions": {"blip": 6},
    "the captioner's parameters, with other captions": {"blip": 6, "texts": 6, **again(losses=18)},
    "the trigger word, class or template of captions": {"texts": 12, **again(losses=24)},
    "how often the source's pictures come in an epoch": again(),
    "an augmentation": {"latents": 10, **again()},
    "one view more": {"latents": 10, **again()},
    "the size of the buckets": {"latents": VIEWS, **MODEL},
    "the latents' VERSION": {"latents": VIEWS, **again(losses=24)},
    "the VAE's weights": {"latents": VIEWS, **MODEL},
    "the text encoder's weights": {"texts": 13, **MODEL},
    "the UNet's weights": MODEL,
    "the noise schedule": MODEL,
    "the base model's folder": {},
    "the learning rate, or another setting of the training": again(),
    "how often the training is saved": {},
    "a prompt of the samples": {"samples": 2, "scores": 2},
    "one seed more for the samples": {"samples": 2, "scores": 2},
    "the weights of the CLIP that scores": {"scores": 2},
}


def restart(place):
    """The place as it was when the run had finished, file times and all."""
    shutil.rmtree(place.live, ignore_errors=True)
    shutil.copytree(place.kept, place.live)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with pictures, models and the workspace of a finished run; `kept` is how it was then."""
    root = tmp_path_factory.mktemp("incremental")
    here = SimpleNamespace(live=root / "live", kept=root / "kept")
    collection.plain(here.live / "photos" / "shapes", count=PICTURES)
    for number in range(CAPTIONED, PICTURES):
        (here.live / "photos" / "shapes" / f"{number:05d}.txt").unlink()
    for part in ("base", "clip"):
        shutil.copytree(models.locate("starter", part=part), here.live / part)
    go(here, data(here))
    here.live.rename(here.kept)
    return here


def data(place):
    """The recipe, to be changed."""
    return {
        "name": "small",
        "sources": [
            {
                "path": str(place.live / "photos"),
                "rights": {"license": "CC0-1.0"},
                "class": "thing",
                "trigger": "sks",
            }
        ],
        "rights": {"allow": ["CC0-1.0", "CC-BY-4.0"]},
        "dedup": {"near": {"distance": 1}},
        "select": {"resolution__short_side": {"min": 32}},
        "split": {"held_out": 0.2, "min_groups": 2, "seed": 1},
        "caption": {"captioner": "blip", "compose": "{trigger} {class}, {body}"},
        "augment": {"views": 2, "transforms": [{"RandomBrightnessContrast": {"p": 1.0}}]},
        "buckets": {"resolution": 64, "step": 8},
        "base_model": {"id": str(place.live / "base")},
        "train": {"steps": STEPS, "batch_size": 2, "learning_rate": 1e-3, "rank": 2},
        "evaluate": {"prompts": ["a red circle"], "seeds": [1], "steps": 1, "clip": str(place.live / "clip")},
    }


def go(place, recipe):
    """Run a recipe as a new process would, without the report, which is written anew each time."""
    workspace = Workspace.create(place.live / recipe.pop("workspace", "w"))
    run = Run.create(workspace, parse(recipe), command="a test")
    for step in plan.ALL_STEPS[:-1]:
        plan.do(run, step, Tools(workspace, workers=1))
    return run


@pytest.fixture
def counted(monkeypatch):
    """Rows by stage, as they are committed and measured."""
    counts = Counter()

    def counting(real, name_of, size):
        def spy(*given, **how):
            made = real(*given, **how)
            counts[name_of(given)] += size(given, made)
            return made

        return spy

    commit = counting(stage.commit, lambda given: stage.name_of(given[1]), lambda given, _: len(given[2]))
    for module in (stage, fused, edges):
        monkeypatch.setattr(module, "commit", commit)
    return counts


def photo(place, number, ending=".png"):
    return place.live / "photos" / "shapes" / f"{number:05d}{ending}"


def altered(folder, part, tensor):
    """Change the numbers of a model's weights."""
    path = next((folder / part).glob("*.safetensors"))
    weights = load_file(path)
    save_file(weights | {tensor: weights[tensor] * 1.01}, path)


def measured_of(place, number):
    """What a finished run has measured of a picture."""
    run = Run.open(Workspace.open(place.live / "w"), Workspace.open(place.live / "w").latest_run().name)
    row = next(row for row in run.rows("origins") if row["origin"] == str(photo(place, number)))
    return next(one for one in run.rows("samples") if one["sample_id"] == row["sample_id"])


def decide(place, number, **words):
    one = journal.Decision(pixel_id=measured_of(place, number)["pixel_id"], reviewer="ann", at=journal.now(), **words)
    journal.append(place.live / "w" / "decisions", [one])


CHANGES = {}


def change(name):
    """Register how a change is made: a function of the place, the recipe's data and a monkeypatch."""

    def register(make):
        CHANGES[name] = make
        return make

    return register


@change("nothing")
def nothing(place, recipe, patch):
    pass


@change("a picture's file times")
def touch(place, recipe, patch):
    os.utime(photo(place, 7))


@change("a file's name")
def rename(place, recipe, patch):
    photo(place, 7).rename(photo(place, 7).with_name("another.png"))


@change("the name of a folder of pictures")
def rename_folder(place, recipe, patch):
    (place.live / "photos" / "shapes").rename(place.live / "photos" / "drawings")


@change("the place of the source")
def move_source(place, recipe, patch):
    (place.live / "photos").rename(place.live / "elsewhere")
    recipe["sources"][0]["path"] = str(place.live / "elsewhere")


@change("the place of the workspace")
def move_workspace(place, recipe, patch):
    (place.live / "w").rename(place.live / "v")
    recipe["workspace"] = "v"


@change("the format of a file, not its pixels")
def reencode(place, recipe, patch):
    with Image.open(photo(place, 7)) as opened:
        opened.save(photo(place, 7, ".bmp"))
    photo(place, 7).unlink()


@change("the metadata in a file, not its pixels")
def metadata(place, recipe, patch):
    told = PngImagePlugin.PngInfo()
    told.add_text("Comment", "another")
    with Image.open(photo(place, 7)) as opened:
        opened.save(photo(place, 7), pnginfo=told)


@change("a picture's pixels")
def pixels(place, recipe, patch):
    Image.fromarray(picture(100).pixels).save(photo(place, 7))


@change("one picture more")
def add(place, recipe, patch):
    Image.fromarray(picture(100).pixels).save(photo(place, 100))


@change("one picture less")
def remove(place, recipe, patch):
    photo(place, 7).unlink()


@change("a caption beside a file")
def sidecar(place, recipe, patch):
    photo(place, 2, ".txt").write_text("another caption")


@change("a caption beside a file that had none")
def new_sidecar(place, recipe, patch):
    photo(place, 7, ".txt").write_text("a caption")


@change("a caption, by a reviewer")
def reviewed(place, recipe, patch):
    decide(place, 7, caption="a thing that a person saw")


@change("a picture dropped by a reviewer")
def dropped(place, recipe, patch):
    decide(place, 7, verdict="drop")


@change("a rule's limit, which nothing fails")
def limit(place, recipe, patch):
    recipe["select"]["resolution__short_side"]["min"] = 33


@change("a rule more, which one picture fails")
def rule(place, recipe, patch):
    values = sorted(measured_of(place, number)["information__entropy"] for number in range(PICTURES))
    recipe["select"]["information__entropy"] = {"min": (values[0] + values[1]) / 2}


@change("a scorer's parameter")
def parameter(place, recipe, patch):
    recipe["scorers"] = {"sharpness": {"reach": 6}}


@change("a scorer's VERSION")
def scorer_version(place, recipe, patch):
    patch.setattr(sharpness, "VERSION", sharpness.VERSION + 1)


@change("the perceptual hash's VERSION")
def hash_version(place, recipe, patch):
    patch.setattr(perceptual, "VERSION", perceptual.VERSION + 1)


@change("the version of the canonical pixels")
def pixels_version(place, recipe, patch):
    patch.setattr(imaging, "PIXELS_VERSION", imaging.PIXELS_VERSION + 1)


@change("the distance of near-duplicates, without another pair")
def distance(place, recipe, patch):
    recipe["dedup"]["near"]["distance"] = 0


@change("rights: another allowed licence of the source")
def rights(place, recipe, patch):
    recipe["sources"][0]["rights"]["license"] = "CC-BY-4.0"


@change("rights: one more licence allowed")
def allowed(place, recipe, patch):
    recipe["rights"]["allow"].append("CC-BY-SA-4.0")


@change("the share held out")
def share(place, recipe, patch):
    recipe["split"]["held_out"] = 0.5


@change("the captioner's parameters, with the same captions")
def captioner(place, recipe, patch):
    recipe["caption"]["params"] = {"num_beams": 1}


@change("the captioner's parameters, with other captions")
def captioner_words(place, recipe, patch):
    recipe["caption"]["params"] = {"max_tokens": 4}


@change("the trigger word, class or template of captions")
def trigger(place, recipe, patch):
    recipe["sources"][0]["trigger"] = "zwx"


@change("how often the source's pictures come in an epoch")
def repeats(place, recipe, patch):
    recipe["sources"][0]["repeats"] = 2


@change("an augmentation")
def augmentation(place, recipe, patch):
    recipe["augment"]["transforms"] = [{"RandomGamma": {"p": 1.0}}]


@change("one view more")
def views(place, recipe, patch):
    recipe["augment"]["views"] = 3


@change("the size of the buckets")
def buckets(place, recipe, patch):
    recipe["buckets"]["resolution"] = 48


@change("the latents' VERSION")
def latents_version(place, recipe, patch):
    patch.setattr(latents, "VERSION", latents.VERSION + 1)


@change("the VAE's weights")
def vae(place, recipe, patch):
    altered(place.live / "base", "vae", "encoder.conv_in.weight")


@change("the text encoder's weights")
def text_encoder(place, recipe, patch):
    altered(place.live / "base", "text_encoder", "text_model.final_layer_norm.weight")


@change("the UNet's weights")
def unet(place, recipe, patch):
    altered(place.live / "base", "unet", "conv_in.weight")


@change("the noise schedule")
def schedule(place, recipe, patch):
    path = place.live / "base" / "scheduler" / "scheduler_config.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "beta_end": 0.011}))


@change("the base model's folder")
def model_moved(place, recipe, patch):
    (place.live / "base").rename(place.live / "other")
    recipe["base_model"]["id"] = str(place.live / "other")


@change("the learning rate, or another setting of the training")
def rate(place, recipe, patch):
    recipe["train"]["learning_rate"] = 2e-3


@change("how often the training is saved")
def checkpoints(place, recipe, patch):
    recipe["train"]["checkpoint_every"] = 1


@change("a prompt of the samples")
def prompt(place, recipe, patch):
    recipe["evaluate"]["prompts"] = ["a blue square"]


@change("one seed more for the samples")
def seeds(place, recipe, patch):
    recipe["evaluate"]["seeds"] = [1, 2]


@change("the weights of the CLIP that scores")
def clip(place, recipe, patch):
    altered(place.live / "clip", "", "visual_projection.weight")


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_computes_what_depends_on_it_and_nothing_else(place, counted, monkeypatch, name):
    restart(place)
    recipe = data(place)
    CHANGES[name](place, recipe, monkeypatch)
    run = go(place, recipe)
    found = dict(counted) | {one.name: one.computed for one in run.stats() if one.name in ("ingest", "train")}
    # what a file says against training is read when the file is
    assert {stage: rows for stage, rows in found.items() if rows and stage != "optouts"} == TABLE[name]


COLUMNS = {
    "files read": ("ingest",),
    "measured": MEASURED,
    "edges": ("edges",),
    "captions": ("blip",),
    "latents": ("latents",),
    "texts": ("texts",),
    "training steps": ("train",),
    "samples": ("samples",),
    "scores": ("scores",),
    "losses": ("losses",),
}


def cell(rows, stages):
    """What a column says: a number, with the stages that have it where those are not all of the column's."""
    told = [stage for stage in stages if rows.get(stage)]
    if not told:
        return ""
    return str(rows[told[0]]) + (f" ({', '.join(told)} alone)" if len(told) < len(stages) else "")


def test_the_page_shows_the_table():
    lines = [["change", *COLUMNS], ["---", *("--:" for _ in COLUMNS)]]
    lines += [[name, *(cell(rows, stages) for stages in COLUMNS.values())] for name, rows in TABLE.items()]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    page = (Path(__file__).parents[1] / "docs" / "incremental.md").read_text(encoding="utf-8")
    assert page.partition("<!-- table -->\n")[2].partition("\n<!-- end of table -->")[0] == table


def test_every_change_is_in_the_table():
    assert list(TABLE) == list(CHANGES)
