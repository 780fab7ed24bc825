import open_clip
import pytest
import torch
from PIL import Image
from transformers import CLIPConfig, CLIPModel, CLIPProcessor, CLIPTextConfig, CLIPVisionConfig

from pipeline import models, openclip
from pipeline.errors import ModelError
from pipeline.starter.pictures import picture

TEXTS = ["a big red circle on the left on a blue background", "a", "a small green star, above a heart"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    target = tmp_path_factory.mktemp("open") / "clip"
    openclip.export(models.locate("starter", part="clip"), target)
    return f"local-dir:{target}"


@torch.no_grad()
def test_open_clip_gives_the_starters_scores(exported):
    ours, processor = models.load_clip("starter")
    pictures = [picture(seed, side=side).pixels for seed, side in ((1, 64), (2, 64), (3, 128))]
    theirs, _, see = open_clip.create_model_and_transforms(exported)
    theirs.eval()
    tokens = open_clip.get_tokenizer(exported)(TEXTS)
    assert tokens.shape == (3, 77)
    text = processor.tokenizer(TEXTS, padding="max_length", truncation=True, return_tensors="pt")
    assert torch.equal(tokens, text.input_ids)
    pixels = processor.image_processor(images=pictures, return_tensors="pt").pixel_values
    # the scores agree on the same pixels; what the two make of a larger picture differs by their resizing alone
    wanted = ours(pixel_values=pixels, **text)
    seen, said = theirs.encode_image(pixels, normalize=True), theirs.encode_text(tokens, normalize=True)
    assert torch.allclose(seen, wanted.image_embeds, atol=1e-5)
    assert torch.allclose(said, wanted.text_embeds, atol=1e-5)
    assert torch.allclose(theirs.logit_scale.exp() * seen @ said.T, wanted.logits_per_image, rtol=1e-5, atol=1e-4)
    own = torch.stack([see(Image.fromarray(one)) for one in pictures])
    assert torch.allclose(own[:2], pixels[:2], atol=1e-6)
    assert (own[2] - pixels[2]).abs().mean() < 0.01


@pytest.fixture
def small():
    def build(act="gelu", heads=2, eos=9, eps=1e-5):
        shared = {"hidden_size": 16, "intermediate_size": 24, "hidden_act": act, "layer_norm_eps": eps}
        text = CLIPTextConfig(
            vocab_size=10, num_hidden_layers=1, num_attention_heads=heads, bos_token_id=8, eos_token_id=eos, **shared
        )
        vision = CLIPVisionConfig(image_size=16, patch_size=8, num_hidden_layers=2, num_attention_heads=4, **shared)
        torch.manual_seed(0)
        config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=12)
        return CLIPModel(config).eval()

    return build


@torch.no_grad()
@pytest.mark.parametrize("act", ["gelu", "quick_gelu"])
@pytest.mark.parametrize(("heads", "eps"), [(2, 1e-5), (1, 0.5)])
def test_any_clip_is_the_same_model_there(small, act, heads, eps):
    model = small(act, heads=heads, eps=eps)
    config = openclip.model_config(model.config)
    theirs = open_clip.CLIP(**config).eval()
    theirs.load_state_dict(openclip.weights(model.state_dict()))
    ids = torch.tensor([[8, 1, 2, 9, 9], [8, 5, 9, 9, 9]])
    padded = torch.nn.functional.pad(ids, (0, 72), value=9)
    pixels = torch.rand(2, 3, 16, 16)
    wanted = model(pixel_values=pixels, input_ids=padded)
    assert torch.allclose(theirs.encode_text(padded, normalize=True), wanted.text_embeds, atol=1e-5)
    assert torch.allclose(theirs.encode_image(pixels, normalize=True), wanted.image_embeds, atol=1e-5)


def test_what_open_clip_cannot_do_is_refused(small):
    with pytest.raises(ModelError, match="hidden_act"):
        openclip.model_config(small("relu").config)
    with pytest.raises(ModelError, match="eos_token_id"):
        openclip.model_config(small(eos=4).config)


def test_every_weight_is_taken_over(small):
    model = small()
    made = openclip.weights(model.state_dict())
    assert sum(value.numel() for value in made.values()) == sum(one.numel() for one in model.parameters())


def test_the_processor_is_opened_there_too(exported):
    folder = exported.removeprefix("local-dir:")
    assert CLIPProcessor.from_pretrained(models.locate("starter", part="clip")).tokenizer.model_max_length == 77
    assert open_clip.get_model_preprocess_cfg(open_clip.create_model(f"local-dir:{folder}"))["size"] == (64, 64)
