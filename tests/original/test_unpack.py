import json
import shutil

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline
from safetensors.torch import load_file, save_file

from pipeline import models, sampling
from pipeline.errors import ModelError
from pipeline.model_files import locate
from pipeline.original import kinds, parts, single, unpack


@pytest.fixture(scope="module")
def folder(base, file, tmp_path_factory):
    return single.ensure(str(file), tmp_path_factory.mktemp("bases"), config=str(base))


def test_every_tensor_comes_back_bit_for_bit(base, folder):
    assert locate(str(folder)) == folder
    for part in parts.of(base):
        with parts.weights(base, part) as before, parts.weights(folder, part) as after:
            assert set(before) == set(after)
            for name, value in before.items():
                assert value.dtype == after[name].dtype
                assert torch.equal(value, after[name]), name
        assert not {"_name_or_path"} & parts.config(folder, part).keys()


def test_it_paints_the_same_picture(base, folder):
    one, other = (models.load_pipeline(str(place)) for place in (base, folder))
    pairs = [("a red circle on a blue background", 3)]
    made = [sampling.sample(pipe, pairs, steps=3, size=64)[0] for pipe in (one, other)]
    assert made[0].std() > 1
    assert np.array_equal(*made)


def test_diffusers_own_pipeline_opens_it(base, folder):
    kind = StableDiffusionXLPipeline if base.name == "sdxl" else StableDiffusionPipeline
    pipe = kind.from_pretrained(folder)
    assert pipe.text_encoder.dtype == pipe.unet.dtype == torch.float32


def wanted(name, **changes):
    kind = next(one for one in kinds.KINDS if one.name == name)
    told = {"prediction": "epsilon", "zero_terminal_snr": False, **changes}
    return single.Wanted(path=None, kind=kind, configs=kind.published, like=None, **told)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("name", ["sd1", "sd2", "sdxl"])
def test_the_noise_schedule_is_the_published_one_with_what_the_model_predicts(name, prediction, zero, tmp_path):
    if zero and prediction == "epsilon":
        pytest.skip("noise alone tells nothing of a picture")
    want = wanted(name, prediction=prediction, zero_terminal_snr=zero)
    for part, value in (("scheduler", unpack._scheduler(want)),):
        (tmp_path / part).mkdir()
        (tmp_path / part / "scheduler_config.json").write_text(json.dumps(value))
    schedule = DDIMScheduler.from_pretrained(tmp_path, subfolder="scheduler")
    assert schedule.config.prediction_type == prediction
    assert float(schedule.betas[0]) == pytest.approx(0.00085, rel=1e-5) or zero
    assert (float(schedule.alphas_cumprod[-1]) == pytest.approx(0.0, abs=1e-6)) == zero
    assert float(schedule.alphas_cumprod[-1]) == pytest.approx(0.0 if zero else 0.00466, abs=1e-4)


def test_a_missing_tensor_or_one_of_another_shape_is_named_and_nothing_is_left(file, base, tmp_path):
    tensors = load_file(file)
    name = next(one for one in tensors if one.startswith(kinds.VAE))
    for changed, problem in (
        ({one: value for one, value in tensors.items() if one != name}, "is missing"),
        ({**tensors, name: torch.zeros(3, 5)}, "is 3 x 5"),
    ):
        save_file(changed, tmp_path / "a.safetensors")
        with pytest.raises(ModelError, match=rf"its vae is not that of .*{name} {problem}"):
            single.ensure(str(tmp_path / "a.safetensors"), tmp_path / "bases", config=str(base), prediction="epsilon")
        assert not list((tmp_path / "bases").glob("*"))


def test_a_smaller_model_is_told_that_it_is_not_the_published_one(file, tmp_path):
    with pytest.raises(ModelError, match=r"as published: model\.diffusion_model.*Name in base_model\.config a folder"):
        single.ensure(str(file), tmp_path, prediction="epsilon")


def test_what_a_file_has_beside_the_model_does_not_matter(base, file, folder, tmp_path):
    tensors = load_file(file)
    more = {
        "model_ema.decay": torch.zeros(1),
        "alphas_cumprod": torch.zeros(9),
        "cond_stage_model.logit_scale": torch.ones(1),
    }
    save_file({**tensors, **more}, tmp_path / "a.safetensors")
    other = single.ensure(str(tmp_path / "a.safetensors"), tmp_path / "bases", config=str(base), prediction="epsilon")
    weights = "unet/diffusion_pytorch_model.safetensors"
    assert (other / weights).read_bytes() == (folder / weights).read_bytes()
    shutil.rmtree(tmp_path / "bases")
