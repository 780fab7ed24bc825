import pytest
import torch

from pipeline import models
from pipeline.training.data import MemoryExamples

CAPTIONS = ["a red circle", "a blue square on the left", "two green stars"]


@pytest.fixture(scope="module", params=["sd", "sdxl"])
def base(request, sdxl):
    return "starter" if request.param == "sd" else str(sdxl)


@pytest.fixture
def painter(base):
    return models.load_painter(base, reads=True)


@pytest.fixture
def examples(base):
    told = {"time_ids": torch.arange(18.0).view(3, 6)} if base != "starter" else {}
    return MemoryExamples(
        torch.zeros(3, 8, 16, 16), torch.zeros(3, 77, 1), torch.zeros(77, 1), scale=1.0, words=CAPTIONS, **told
    )


def encoded(base, captions):
    """What diffusers' own pipeline makes of captions: hidden states and, for SDXL, their summaries."""
    pipe = models.load_pipeline(base)
    with torch.no_grad():
        if base == "starter":
            text, _ = pipe.encode_prompt(captions, "cpu", 1, do_classifier_free_guidance=False)
            return text, None
        text, _, pooled, _ = pipe.encode_prompt(captions, do_classifier_free_guidance=False)
    return text, pooled


def test_captions_are_read_as_the_pipeline_reads_them(base, painter, examples):
    told = painter.told(examples.batch([2, 0]), examples)
    text, pooled = encoded(base, [CAPTIONS[2], CAPTIONS[0]])
    assert torch.allclose(told.text, text, atol=1e-5)
    if pooled is None:
        assert told.arguments().keys() == {"encoder_hidden_states"}
    else:
        assert torch.allclose(told.pooled, pooled, atol=1e-5)
        assert told.time_ids.tolist() == [[*range(12, 18)], [*range(6)]]


def test_of_a_dropped_caption_is_left_what_the_family_takes_for_none(base, painter, examples):
    told = painter.told(examples.batch([0, 1, 2]), examples, dropped=torch.tensor([False, True, False]))
    whole = painter.told(examples.batch([0, 1, 2]), examples)
    assert torch.equal(told.text[[0, 2]], whole.text[[0, 2]])
    if base == "starter":
        assert torch.allclose(told.text[1], encoded(base, [""])[0][0], atol=1e-5)
    else:
        assert not told.text[1].any()
        assert not told.pooled[1].any()
        assert torch.equal(told.time_ids, whole.time_ids)


def test_gradients_reach_every_layer_of_the_encoders_that_the_unet_reads(base, painter, examples):
    told = painter.told(examples.batch([0, 1]), examples)
    (told.text.square().sum() + (told.pooled.square().sum() if told.pooled is not None else 0)).backward()
    unread = {name for name, one in painter.texts.named_parameters() if one.grad is None}
    # SDXL's UNet reads the first encoder's last layer but one, and nothing behind it
    last = {"text_encoder.encoder.layers.1", "text_encoder.final_layer_norm"}
    assert {name.rpartition(".")[0] for name in unread} == set() if base == "starter" else unread
    assert all(any(name.startswith(one) for one in last) for name in unread)


def test_parts_and_tokenizers_have_their_folders_names(base, painter):
    both = ["text_encoder"] if base == "starter" else ["text_encoder", "text_encoder_2"]
    assert list(painter.parts) == ["unet", *both]
    assert list(painter.tokenizers) == [name.replace("text_encoder", "tokenizer") for name in both]
    assert list(models.load_painter(base).parts) == ["unet"]


def test_a_pipeline_paints_with_the_painters_own_encoders(base, painter):
    pipe = models.load_pipeline(base, painter=painter)
    for name, one in (painter.parts | painter.tokenizers).items():
        assert getattr(pipe, name) is one


def test_a_batch_without_embeddings_is_told_what_it_lacks(base, examples):
    batch = examples.batch([0])
    bare = type(batch)(batch.moments, None, batch.ids, batch.rows, captions=batch.captions)
    with pytest.raises(ValueError, match="for text encoders to read"):
        models.load_painter(base).told(bare, examples)
