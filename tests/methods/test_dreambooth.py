import pytest
import torch
from diffusers import DDPMScheduler

from pipeline.errors import RecipeError
from pipeline.methods import dreambooth, full, lora
from pipeline.training.data import MemoryExamples
from pipeline.training.job import Job
from pipeline.training.painter import Painter
from pipeline.training.settings import TrainSettings

OTHERS = {"lora": lora, "full": full}


def settings(method, adapts, **changes):
    shared = {"steps": 3, "batch_size": 2, "learning_rate": 1e-2, "lr_schedule": "constant", "warmup_steps": 0}
    return TrainSettings(
        **{"method": method, "adapts": adapts, "caption_dropout": 0.0, "checkpoint_every": 3, "rank": 3}
        | shared
        | changes
    )


@pytest.fixture
def both(examples):
    draws = torch.Generator().manual_seed(7)
    examples.prior = MemoryExamples(
        torch.randn(3, 8, 8, 8, generator=draws),
        torch.randn(3, 77, 16, generator=draws),
        torch.zeros(77, 16),
        scale=0.5,
    )
    return examples


@pytest.mark.parametrize("adapts", ["lora", "full"])
def test_it_trains_what_it_adapts_and_opens_what_it_wrote(adapts, both, tiny_unet, tmp_path):
    mine, theirs = Painter(tiny_unet()), Painter(tiny_unet())
    result = dreambooth.train(mine, both, DDPMScheduler(), settings("dreambooth", adapts), Job(tmp_path / "one"))
    OTHERS[adapts].train(theirs, both, DDPMScheduler(), settings(adapts, adapts), Job(tmp_path / "other"))
    for name, one in mine.state_dict().items():
        assert torch.equal(one, theirs.state_dict()[name]), name
    again = dreambooth.load(Painter(tiny_unet()), result.folder)
    wanted = {name.replace(".default", ""): one for name, one in mine.state_dict().items()}
    found = {name.replace(".default_0", "").replace(".default", ""): one for name, one in again.state_dict().items()}
    assert found.keys() == wanted.keys()
    for name, one in wanted.items():
        assert torch.allclose(found[name], one, atol=1e-6), name


def test_class_pictures_change_what_is_learned_and_a_weight_of_0_leaves_them_out(both, tiny_unet, tmp_path):
    made = {}
    for weight in (0.0, 0.5, 1.0):
        painter = Painter(tiny_unet())
        chosen = settings("dreambooth", "full", prior_weight=weight)
        dreambooth.train(painter, both, DDPMScheduler(), chosen, Job(tmp_path / str(weight)))
        made[weight] = painter.state_dict()["unet.conv_in.weight"].clone()
    both.prior = None
    painter = Painter(tiny_unet())
    full.train(painter, both, DDPMScheduler(), settings("full", "full"), Job(tmp_path / "none"))
    assert torch.equal(made[0.0], painter.unet.conv_in.weight)
    assert not torch.equal(made[0.0], made[1.0])
    assert not torch.equal(made[0.5], made[1.0])


def test_without_class_pictures_it_says_what_to_do(examples, tiny_unet, tmp_path):
    with pytest.raises(RecipeError, match=r"train\.prior_weight: there are no class pictures.*role: prior"):
        dreambooth.train(Painter(tiny_unet()), examples, DDPMScheduler(), settings("dreambooth", "lora"), Job(tmp_path))


def test_the_defaults_are_those_of_what_is_adapted():
    assert TrainSettings(method="dreambooth").learning_rate == 1e-4
    chosen = TrainSettings(method="dreambooth", adapts="full")
    assert (chosen.learning_rate, chosen.steps) == (5e-6, 800)
