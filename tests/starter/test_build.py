import json
from contextlib import contextmanager

import pytest
import yaml
from diffusers import StableDiffusionPipeline

from pipeline import models
from pipeline.errors import InputError, ModelError
from pipeline.imaging import decode
from pipeline.stage import Tools
from pipeline.starter import build, parts
from pipeline.starter.pictures import picture
from pipeline.steps import evaluation

SCALE = 0.001


def few(patch, folder):
    """The build in seconds: few pictures, small batches, and little measured."""
    recipes = folder / "recipes"
    recipes.mkdir(exist_ok=True)
    for path in build.RECIPES.glob("starter-*.yaml"):
        data = yaml.safe_load(path.read_text())
        data["train"]["batch_size"] = 4
        data["split"] = {"held_out": 0.2, "min_groups": 2}
        if "evaluate" in data:
            data["evaluate"] |= {"prompts": ["a red circle"], "seeds": [1], "steps": 1}
        (recipes / path.name).write_text(yaml.safe_dump(data))
    patch.setattr(build, "RECIPES", recipes)
    patch.setattr(build, "LEAST_PICTURES", 12)
    patch.setattr(evaluation, "MOST_SEEN", 4)
    patch.setattr(evaluation, "MOST_PICTURES", 4)
    patch.setattr(parts, "CAPTIONS", 300)
    patch.setattr(parts, "measure", lambda weights, work, *, scale, say: {"looked": weights.name, "scale": scale})


def built(folder, said, **more):
    @contextmanager
    def tools(workspace):
        yield Tools(workspace, workers=1, say=said.append)

    return json.loads(build.build(folder, tools=tools, scale=SCALE, **more))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder, said = tmp_path_factory.mktemp("starter"), []
    with pytest.MonkeyPatch.context() as patch:
        few(patch, folder)
        return folder, built(folder / "all", said), said


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.safetensors"))}


def test_it_writes_a_record_of_steps_time_losses_and_quality(done):
    folder, record, said = done
    assert json.loads((folder / "all" / "weights" / "record.json").read_text()) == record
    assert set(record) == {*build.PARTS, "measured"}
    for part in build.PARTS:
        told = record[part]
        assert told["steps"] == build.recipe(part, folder, scale=SCALE).train.steps >= 2
        assert told["seconds"] > 0
        assert all(loss > 0 for loss in told["losses"])
        assert any("held-out" in name for name in told["measures"])
        assert any(text.startswith(f"{part}: done in") for text in said)
    assert record["measured"] == {"looked": "weights", "scale": SCALE}


def test_diffusers_opens_and_runs_what_it_writes(done):
    folder = done[0] / "all" / "weights"
    pipe = StableDiffusionPipeline.from_pretrained(folder / "sd", local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    (image,) = pipe("a red circle", num_inference_steps=1, height=64, width=64).images
    assert image.size == (64, 64)


def test_gesso_takes_all_of_it(done):
    folder = done[0] / "all" / "weights"
    scorer, seen = models.load_clip(str(folder / "clip"))
    assert len(seen.tokenizer) == scorer.config.text_config.vocab_size
    captioner, spoken = models.load_blip(str(folder / "blip"))
    pixels = spoken.image_processor(images=[picture(1, side=96).pixels], return_tensors="pt")
    assert captioner.generate(**pixels, max_new_tokens=3).shape[0] == 1
    assert (
        models.load_trainable("unet", models.locate(str(folder / "sd"))).config.cross_attention_dim
        == scorer.config.text_config.hidden_size
    )
    assert models.load_scheduler(str(folder / "sd")).config.beta_end == 0.02
    assert not any("_name_or_path" in json.loads(one.read_text()) for one in folder.rglob("config.json"))


def test_the_text_encoder_was_clips_and_learned_along_and_the_vae_has_its_measured_scale(done):
    folder = done[0] / "all" / "weights"
    encoder, _ = models.load_text_encoder(str(folder / "sd"))
    own = models.load_clip(str(folder / "clip"))[0].text_model.state_dict()
    learned = encoder.state_dict()
    assert {name: value.shape for name, value in learned.items()} == {name: own[name].shape for name in learned}
    assert any((value != own[name]).any() for name, value in learned.items())
    begun = models.load_text_encoder(str(done[0] / "all" / "models" / "sd"))[0].state_dict()
    assert all((value == own[name]).all() for name, value in begun.items())
    assert models.load_vae(str(folder / "sd")).config.scaling_factor != 0.18215


def test_built_again_nothing_is_trained_and_no_weight_changes(done, monkeypatch):
    folder, _, _ = done
    few(monkeypatch, folder)
    before, said = files(folder / "all"), []
    built(folder / "all", said)
    assert files(folder / "all") == before
    assert not any("going on" in text or "evaluate: step" in text for text in said)


def test_without_parts_there_are_pictures_and_architectures_and_no_more(done, monkeypatch):
    folder, _, _ = done
    few(monkeypatch, folder)
    assert built(folder / "begun", [], only=()) == {}
    assert len(list((folder / "begun" / "pictures" / "seen").glob("*.png"))) == 20
    assert decode((folder / "begun" / "pictures" / "told" / "00000.png").read_bytes()).pixels.shape == (64, 64, 3)
    drawn = [path.parent.name for path in (folder / "begun").rglob("*.safetensors")]
    assert drawn == ["clip"]  # its places are known from the start
    with pytest.raises(ModelError, match=r"no vae/config\.json"):
        built(folder / "begun", [], only=["unet"])


def test_another_scale_in_the_same_folder_and_unknown_parts_are_refused(done, monkeypatch):
    folder, _, _ = done
    few(monkeypatch, folder)
    with pytest.raises(InputError, match=r"--parts.*There are: vae, clip, blip, unet, painter"):
        built(folder / "other", [], only=["sound"])
    with pytest.raises(InputError, match=r"--steps-scale.*go on with 0.001"):
        build._check(folder / "all", 0.5, ())


@pytest.mark.parametrize("part", build.PARTS)
def test_a_recipe_asks_for_the_parts_own_method_in_the_folder(part, tmp_path):
    whole, half = build.recipe(part, tmp_path), build.recipe(part, tmp_path, scale=0.5)
    assert whole.train.method == {"unet": "full", "painter": "full"}.get(part, part)
    assert half.train.steps == round(whole.train.steps / 2)
    assert all(source.path.is_relative_to(tmp_path) for source in whole.sources)
    assert whole.base_model.id.startswith(str(tmp_path))
    assert whole.base_model.scratch == (part in ("vae", "unet"))
