import pytest
import torch

from pipeline import models
from pipeline.methods import lora
from pipeline.model_files import STARTER
from pipeline.training import weights
from pipeline.training.settings import TrainSettings

SETTINGS = {
    "attention": {"rank": 3, "alpha": 7.5},
    "convolutions": {"rank": 2, "conv_rank": 3, "conv_alpha": 1.5},
    "dora": {"rank": 2, "conv_rank": 3, "conv_alpha": 1.5, "use_dora": True},
}
HEADER = {"gesso_trainset_digest": "abc", "modelspec.title": "robots"}


@pytest.fixture(scope="session", params=["sd", "sdxl"])
def base(request, sdxl):
    """The folder of a tiny model."""
    return STARTER / "sd" if request.param == "sd" else sdxl


@pytest.fixture(scope="session")
def made(base, tmp_path_factory):
    """Makes an adapter of a sort as a training writes it, in both layouts, with texts; its painter and its folder."""
    kept = {}

    def of(name):
        if name not in kept:
            torch.manual_seed(0)
            painter = models.load_painter(str(base), reads=True)
            config = lora.add_adapters(painter, TrainSettings(**SETTINGS[name], text_encoder=True))
            for key, one in painter.named_parameters():
                if "lora_B" in key:
                    one.data.normal_(std=0.3)
                if "magnitude" in key:
                    one.data *= 1 + 0.3 * torch.rand_like(one)
            folder = tmp_path_factory.mktemp(name)
            for save in (weights.save_lora, weights.save_kohya):
                save(painter.parts, folder, config=config, header=HEADER)
            kept[name] = painter, folder
        return kept[name]

    return of
