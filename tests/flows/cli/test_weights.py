"""`gesso weights` as it is typed."""

import json

import pytest
import torch

from pipeline.model_files import locate
from pipeline.original import parts


def test_a_base_model_becomes_a_file_and_a_folder_again(sdxl, gesso, tmp_path):
    done = gesso("weights", "convert", sdxl, "--to", "a.safetensors")
    assert done.exit_code == 0, done.output
    assert done.stdout == "Stable Diffusion XL as one file in a.safetensors\n"
    told = json.loads(gesso("weights", "show", "a.safetensors", "--json").stdout)
    assert (told["what"], told["kind"]) == ("a base model in one file", "Stable Diffusion XL")
    done = gesso("weights", "convert", "a.safetensors", "--to", "again", "--config", sdxl)
    assert done.exit_code == 0, done.output
    assert locate(str(tmp_path / "again")) == tmp_path / "again"
    with parts.weights(sdxl, "unet") as one, parts.weights(tmp_path / "again", "unet") as other:
        assert all(torch.equal(value, other[name]) for name, value in one.items())


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["show", "none.safetensors"], "cannot be read"),
        (["show", "pickle.safetensors"], "pickle under another name"),
        (["convert", "pickle.safetensors", "--to", "a"], "pickle under another name"),
        (["merge", "starter", "pickle.safetensors", "--to", "a"], "pickle under another name"),
        (["merge", "nothing/at/all", "pickle.safetensors", "--to", "a"], "BASE: there is no such folder or file"),
        (["merge", "pickle.safetensors", "x", "--to", "a"], "pickle under another name"),
        (["extract", "starter", "starter", "--to", "pickle.safetensors"], "it is there already"),
        (["extract", "starter", "starter", "--to", "a"], "the two models are the same"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_nothing_is_written(words, problem, gesso, tmp_path):
    torch.save({}, tmp_path / "pickle.safetensors")
    done = gesso("weights", *words)
    assert done.exit_code == 2
    assert problem in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [one.name for one in tmp_path.iterdir()] == ["pickle.safetensors"]


def test_rank_and_energy_exclude_each_other(gesso):
    done = gesso("weights", "extract", "starter", "starter", "--to", "a", "--rank", "2", "--energy", "0.5")
    assert done.exit_code == 2
    assert "give one of them" in done.stderr
