import math

import pytest
import torch
from transformers import CLIPModel

from pipeline import models
from pipeline.methods import clip
from pipeline.training.job import Job
from pipeline.training.settings import TrainSettings
from pipeline.trainset.pixels import shown


def settings(**changes):
    chosen = {"method": "clip", "steps": 4, "batch_size": 4, "learning_rate": 1e-3, "warmup_steps": 0}
    return TrainSettings(**{**chosen, "checkpoint_every": 2, **changes})


class Killed(Exception):  # noqa: N818 - it stands for a signal
    pass


def test_the_mean_loss_is_transformers_own_where_captions_differ(tiny_clip, clip_processor, pixels):
    model, batch = tiny_clip().eval(), pixels.batch([0, 1, 2, 4])
    assert len(set(batch.captions)) == 4
    text = clip_processor.tokenizer(list(batch.captions), padding=True, return_tensors="pt")
    with torch.no_grad():
        wanted = model(pixel_values=shown(batch, clip_processor, device=model.device), **text, return_loss=True).loss
        found = clip.losses(model, batch, clip_processor)
    assert found.shape == (4,)
    assert found.mean().item() == pytest.approx(wanted.item(), rel=1e-5)


def test_pictures_of_the_same_caption_are_both_right():
    logits = torch.tensor([[9.0, 9.0, 0.0], [9.0, 9.0, 0.0], [0.0, 0.0, 9.0]])
    alike = clip.contrast(logits, ["a", "a", "b"])
    apart = clip.contrast(logits, ["a", "c", "b"])
    assert alike[0].item() == pytest.approx(torch.log(torch.tensor(2.0)).item(), abs=1e-3)
    assert torch.equal(alike[2], apart[2])
    wrong = clip.contrast(logits.flip(1), ["a", "a", "b"])
    assert wrong[2] > alike[2] + 5


@pytest.mark.parametrize("above", [0.0, 1.0])
def test_the_scale_is_held_and_goes_on_learning(tiny_clip, clip_processor, pixels, tmp_path, above):
    model, most = tiny_clip(), math.log(clip.MOST_SCALE)
    with torch.no_grad():
        model.logit_scale.fill_(most + above)
    clip.train(model, pixels, clip_processor, settings(), Job(tmp_path))
    learned = CLIPModel.from_pretrained(tmp_path / "weights" / "clip").logit_scale.item()
    assert learned < most + 2 * 1e-3  # the last step comes after the last holding
    assert learned != pytest.approx(most, abs=1e-5)


def test_a_killed_training_ends_bitwise_as_an_undisturbed_one(tiny_clip, clip_processor, pixels, tmp_path):
    def train(folder, **more):
        return clip.train(tiny_clip(), pixels, clip_processor, settings(), Job(folder, **more))

    straight = train(tmp_path / "straight")

    def kill(step, _):
        if step == 4:
            raise Killed

    with pytest.raises(Killed):
        train(tmp_path / "killed", on_checkpoint=kill)
    assert train(tmp_path / "killed").losses == straight.losses
    name = "weights/clip/model.safetensors"
    assert (tmp_path / "straight" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()


def test_it_learns_and_transformers_opens_what_it_writes(tiny_clip, clip_processor, pixels, tmp_path):
    model = tiny_clip()
    with torch.no_grad():
        before = clip.losses(model.eval(), pixels.batch(range(6)), clip_processor).mean().item()
    clip.train(model, pixels, clip_processor, settings(steps=40, batch_size=6), Job(tmp_path))
    opened = CLIPModel.from_pretrained(tmp_path / "weights" / "clip").eval()
    with torch.no_grad():
        after = clip.losses(opened, pixels.batch(range(6)), clip_processor)
        again = clip.losses(
            clip.load(tiny_clip(1), tmp_path / "weights").eval(), pixels.batch(range(6)), clip_processor
        )
    assert after.mean().item() < before - 0.2
    _, processor = models.load_clip(str(tmp_path / "weights" / "clip"))
    assert processor.tokenizer.get_vocab() == clip_processor.tokenizer.get_vocab()
    assert torch.equal(after, again)


def test_a_frozen_tower_stays(tiny_clip, clip_processor, pixels, tmp_path):
    model = tiny_clip()
    chosen = settings(freeze=["vision_model", "visual_projection"])
    clip.train(model, pixels, clip_processor, chosen, Job(tmp_path))
    before = tiny_clip().state_dict()
    moved = {
        name.partition(".")[0] for name, value in model.state_dict().items() if not torch.equal(value, before[name])
    }
    assert moved == {"text_model", "text_projection", "logit_scale"}
