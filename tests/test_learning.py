import json
import shutil
import subprocess
import sys

import pytest

from pipeline import learning, model_files, plugins
from pipeline.errors import ModelError
from pipeline.recipe import parse


def recipe(method="lora", base="starter", **more):
    return parse(
        {
            "name": "x",
            "sources": [{"path": "."}],
            "base_model": {"id": base, **more},
            "train": {"method": method},
        }
    )


@pytest.fixture
def starter(tmp_path):
    """The starter's folders, to change."""
    for part in ("sd", "clip", "blip"):
        shutil.copytree(model_files.STARTER / part, tmp_path / part)
    return tmp_path


@pytest.mark.parametrize("method", plugins.names("methods"))
def test_every_method_says_what_it_learns_and_from_what(method):
    chosen = recipe(method)
    assert learning.learns(chosen) in ("unet", "vae", "clip", "blip")
    assert learning.reads_latents(chosen) == (learning.learns(chosen) == "unet")
    assert learning.locate(chosen).is_dir()


def test_what_is_asked_costs_no_import_of_torch():
    code = "import sys; from pipeline import learning; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_hashes_are_of_what_the_training_reads(starter):
    unet = learning.hashes(recipe("full", str(starter / "sd")))
    assert set(unet) == {"unet", "scheduler"}
    assert set(learning.hashes(recipe("vae", str(starter / "sd")))) == {"vae"}
    assert set(learning.hashes(recipe("clip", str(starter / "clip")))) == {""}


def test_from_scratch_the_architecture_decides_and_not_the_weights(starter):
    folder = starter / "sd"
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    drawn, read = recipe("vae", str(folder), scratch=True), recipe("vae", str(folder))
    before = learning.hashes(drawn), learning.hashes(read)
    data = weights.read_bytes()
    weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert learning.hashes(drawn) == before[0]
    assert learning.hashes(read) != before[1]
    weights.unlink()
    assert learning.hashes(drawn) == before[0]
    with pytest.raises(ModelError, match="no weights in vae"):
        learning.locate(read)
    config = json.loads((folder / "vae" / "config.json").read_text())
    (folder / "vae" / "config.json").write_text(json.dumps({**config, "layers_per_block": 2}))
    assert learning.hashes(drawn) != before[0]


def test_a_unet_from_scratch_needs_the_weights_of_its_vae_and_text_encoder(starter):
    chosen = recipe("full", str(starter / "sd"), scratch=True)
    (starter / "sd" / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    assert learning.locate(chosen) == starter / "sd"
    (starter / "sd" / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(ModelError, match="no weights in vae"):
        learning.locate(chosen)


@pytest.mark.parametrize("part", ["clip", "blip"])
def test_a_clip_or_blip_from_scratch_needs_no_weights(starter, part):
    (starter / part / "model.safetensors").unlink()
    assert learning.locate(recipe(part, str(starter / part), scratch=True)) == starter / part
    with pytest.raises(ModelError, match="no weights"):
        learning.locate(recipe(part, str(starter / part)))
