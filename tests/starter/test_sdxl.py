import pytest
import torch
from diffusers import StableDiffusionXLPipeline

from pipeline import models
from pipeline.errors import InputError
from pipeline.model_files import latent_scale, text_hash, weights_hash
from pipeline.starter import sdxl as starter


def test_it_is_a_whole_model_that_the_plain_pipeline_opens(sdxl):
    pipe = StableDiffusionXLPipeline.from_pretrained(sdxl)
    assert pipe.unet.add_embedding.linear_1.in_features == starter.SUMMARY + 6 * 8
    assert type(pipe.text_encoder_2).__name__ == "CLIPTextModelWithProjection"
    assert pipe.text_encoder.config.hidden_size != pipe.text_encoder_2.config.hidden_size
    mark = pipe.tokenizer_2.convert_tokens_to_ids("!")
    last = [words(["a"], padding="max_length").input_ids[0][-1] for words in (pipe.tokenizer, pipe.tokenizer_2)]
    assert last == [pipe.tokenizer.eos_token_id, mark]
    assert latent_scale(models.locate(str(sdxl))) == (0.13025, 0.0)


def test_the_same_seed_draws_the_same_weights_and_leaves_the_callers_alone(sdxl, tmp_path):
    state = torch.random.get_rng_state()
    for seed in (0, 1):
        starter.write(tmp_path / str(seed), seed=seed)
    assert torch.equal(state, torch.random.get_rng_state())
    parts = ("unet", "vae")
    hashes = [[weights_hash(folder, part) for part in parts] for folder in (sdxl, tmp_path / "0", tmp_path / "1")]
    assert hashes[0] == hashes[1]
    assert not set(hashes[1]) & set(hashes[2])
    assert text_hash(sdxl) == text_hash(tmp_path / "0") != text_hash(tmp_path / "1")


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(InputError, match="not empty"):
        starter.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
