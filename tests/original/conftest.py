import json
import shutil

import pytest
import torch
from transformers import CLIPTextConfig, CLIPTextModel

from pipeline import model_files
from pipeline.original import pack


@pytest.fixture(scope="session")
def sd1():
    """A tiny model of Stable Diffusion 1's shape: the starter, in half precision."""
    return model_files.STARTER / "sd"


@pytest.fixture(scope="session")
def sd2(sd1, tmp_path_factory):
    """A tiny model of Stable Diffusion 2's shape: linear projections, and a text encoder that comes from open_clip."""
    from diffusers import UNet2DConditionModel

    folder = shutil.copytree(sd1, tmp_path_factory.mktemp("sd2") / "sd2")
    torch.manual_seed(0)
    config = {**UNet2DConditionModel.load_config(sd1 / "unet"), "use_linear_projection": True}
    UNet2DConditionModel.from_config(config).save_pretrained(folder / "unet")
    told = CLIPTextConfig.from_pretrained(sd1 / "text_encoder", num_hidden_layers=2)
    CLIPTextModel(told).save_pretrained(folder / "text_encoder")
    scheduler = folder / "scheduler" / "scheduler_config.json"
    scheduler.write_text(json.dumps({**json.loads(scheduler.read_text()), "prediction_type": "epsilon"}))
    return folder


@pytest.fixture(scope="session", params=["sd1", "sd2", "sdxl"])
def base(request, sdxl):
    """The folder of a tiny model of each kind."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def file(base, tmp_path_factory):
    """The same as a single file."""
    path = tmp_path_factory.mktemp("single") / "model.safetensors"
    pack.write(base, path)
    return path
