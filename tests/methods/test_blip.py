import pytest
import torch
from transformers import BlipForConditionalGeneration

from pipeline import models
from pipeline.methods import blip
from pipeline.training.job import Job
from pipeline.training.settings import TrainSettings
from pipeline.trainset.pixels import shown


def settings(**changes):
    chosen = {"method": "blip", "steps": 4, "batch_size": 4, "learning_rate": 3e-3, "lr_schedule": "constant"}
    return TrainSettings(**{**chosen, "checkpoint_every": 2, **changes})


class Killed(Exception):  # noqa: N818 - it stands for a signal
    pass


def inputs(batch, processor, model):
    text = processor.tokenizer(list(batch.captions), padding=True, return_tensors="pt")
    text.input_ids[:, 0] = model.config.text_config.bos_token_id
    return {"pixel_values": shown(batch, processor, device=model.device), **text}


@torch.no_grad()
def test_the_loss_of_a_caption_is_transformers_own(tiny_blip, blip_processor, pixels):
    model = tiny_blip().eval()
    for row, loss in enumerate(blip.losses(model, pixels.batch(range(6)), blip_processor)):
        alone = inputs(pixels.batch([row]), blip_processor, model)
        del alone["token_type_ids"]
        wanted = model(**alone, labels=alone["input_ids"]).loss
        assert loss.item() == pytest.approx(wanted.item(), rel=1e-4)


@torch.no_grad()
def test_padding_and_the_start_are_no_lesson(tiny_blip, blip_processor, pixels):
    seen = []
    model = tiny_blip().eval()
    model.register_forward_pre_hook(lambda _, __, given: seen.append(given), with_kwargs=True)
    blip.losses(model, pixels.batch([0, 2]), blip_processor)
    (given,) = seen
    assert (given["input_ids"][:, 0] == blip_processor.tokenizer.convert_tokens_to_ids("[DEC]")).all()
    assert given["attention_mask"][1].sum() < given["attention_mask"][0].sum()


def test_a_killed_training_ends_bitwise_as_an_undisturbed_one(tiny_blip, blip_processor, pixels, tmp_path):
    def train(folder, **more):
        return blip.train(tiny_blip(), pixels, blip_processor, settings(), Job(folder, **more))

    straight = train(tmp_path / "straight")

    def kill(step, _):
        if step == 4:
            raise Killed

    with pytest.raises(Killed):
        train(tmp_path / "killed", on_checkpoint=kill)
    assert train(tmp_path / "killed").losses == straight.losses
    name = "weights/blip/model.safetensors"
    assert (tmp_path / "straight" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()


@torch.no_grad()
def said(model, processor, batch):
    ids = model.generate(pixel_values=shown(batch, processor, device=model.device), max_new_tokens=40)
    return processor.tokenizer.batch_decode(ids, skip_special_tokens=True)


def test_it_learns_to_say_its_captions_and_transformers_opens_what_it_writes(
    tiny_blip, blip_processor, pixels, tmp_path
):
    model = tiny_blip()
    pixels.rows = [{**row, "caption": "a red heart"} for row in pixels.rows]
    assert "heart" not in " ".join(said(model.eval(), blip_processor, pixels.batch([0])))
    blip.train(model, pixels, blip_processor, settings(steps=60), Job(tmp_path))
    opened = BlipForConditionalGeneration.from_pretrained(tmp_path / "weights" / "blip").eval()
    assert all(text.endswith("a red heart") for text in said(opened, blip_processor, pixels.batch([0, 4])))
    assert models.load_blip(str(tmp_path / "weights" / "blip"))[1].image_processor.size == {"height": 64, "width": 64}
    again = blip.load(tiny_blip(1), tmp_path / "weights").eval()
    with torch.no_grad():
        one, two = (blip.losses(each, pixels.batch([1]), blip_processor) for each in (opened, again))
    assert torch.equal(one, two)
