import hashlib
import json

import pytest
from diffusers import StableDiffusionPipeline
from transformers import BlipForConditionalGeneration, BlipProcessor, CLIPModel, CLIPProcessor

from pipeline import models
from pipeline.model_files import latent_scale
from pipeline.starter import blip, build, clip, judge, pictures, quality, unet, vae


def small(patch):
    """The build in seconds: pools of a few pictures, and little measured."""
    for module in (vae, clip, blip):
        patch.setattr(module, "POOL", 48)
    patch.setattr(vae, "SPREAD_OF", 16)
    patch.setattr(build, "CAPTIONS", 300)
    examples, painted = unet.examples, quality.painted
    patch.setattr(unet, "examples", lambda *parts: examples(*parts, count=32))
    patch.setattr(quality, "painted", lambda folder, seer: painted(folder, seer, count=2))
    patch.setattr(judge, "BATCH", 4)
    patch.setattr(quality, "STEPS", 2)
    for module, name in ((vae, "psnr"), (clip, "retrieval"), (blip, "accuracy"), (quality, "judged")):
        patch.setattr(module, name, few(getattr(module, name)))


def few(measure):
    return lambda *parts: measure(*parts, count=4)


def shas(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.safetensors"))
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("starter")
    said = []
    with pytest.MonkeyPatch.context() as patch:
        small(patch)
        told = build.build(folder, scale=0.001, say=said.append)
    return folder, told, said


def test_it_writes_a_record_of_steps_time_and_quality(built):
    folder, told, said = built
    record = json.loads((folder / "weights" / "record.json").read_text())
    assert json.loads(told) == record
    assert record["steps"] == {name: max(2, round(count / 1000)) for name, count in build.STEPS.items()}
    assert set(record["seconds"]) == set(build.STEPS)
    measured = record["measured"]
    assert 0 < measured["vae_psnr_db"] < 30
    assert 0 <= measured["clip_retrieval_of_100"] <= 1
    assert set(measured["unet_right"]) == set(measured["judge_right"]) == {*quality.ALONE, "both_colors"}
    assert any("unet: done" in line for line in said)


def test_diffusers_opens_and_runs_what_it_writes(built):
    folder = built[0] / "weights"
    pipe = StableDiffusionPipeline.from_pretrained(folder / "sd", safety_checker=None, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    (image,) = pipe("a red circle", num_inference_steps=2, height=64, width=64).images
    assert image.size == (64, 64)


def test_transformers_opens_clip_and_blip_with_their_processors(built):
    folder = built[0] / "weights"
    picture = pictures.picture(1, side=96).pixels
    clip_inputs = CLIPProcessor.from_pretrained(folder / "clip", local_files_only=True)(
        text=["a red circle"], images=[picture], padding=True, truncation=True, return_tensors="pt"
    )
    made = CLIPModel.from_pretrained(folder / "clip", local_files_only=True).float()(**clip_inputs)
    assert made.logits_per_text.shape == (1, 1)
    processor = BlipProcessor.from_pretrained(folder / "blip", local_files_only=True)
    inputs = processor(images=[picture], return_tensors="pt")
    assert inputs.pixel_values.shape == (1, 3, 64, 64)
    said = BlipForConditionalGeneration.from_pretrained(folder / "blip", local_files_only=True).float()
    assert said.generate(**inputs, max_new_tokens=4).shape[0] == 1


def test_gesso_takes_it_for_a_base_model(built):
    folder = built[0] / "weights"
    scale, shift = latent_scale(folder / "sd")
    assert scale > 0
    assert shift == 0
    scheduler = models.load_scheduler(str(folder / "sd"))
    assert scheduler.config.beta_end == unet.scheduler().config.beta_end


def test_it_goes_on_where_it_was_and_ends_with_the_same_weights(built, monkeypatch):
    folder = built[0]
    before = shas(folder / "weights")
    assert len(before) == 5
    small(monkeypatch)
    said = []
    build.build(folder, scale=0.001, say=said.append)
    assert shas(folder / "weights") == before
    assert not any("step 1/" in line for line in said)


def test_the_text_encoder_is_clips_own(built):
    folder = built[0] / "weights"
    whole = CLIPModel.from_pretrained(folder / "clip", local_files_only=True)
    encoder = build.text_encoder(whole)
    again = whole.text_model.state_dict()
    assert all((value == again[name]).all() for name, value in encoder.state_dict().items())
