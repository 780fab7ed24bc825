import hashlib

import pytest
import torch
from safetensors.torch import save_file

from pipeline.original import kinds
from pipeline.training import modelspec


@pytest.mark.parametrize(
    ("kind", "prediction", "architecture", "version", "v2"),
    [
        (kinds.SD1, "epsilon", "stable-diffusion-v1/lora", "sd_v1", "False"),
        (kinds.SD1, "v_prediction", "stable-diffusion-v1/lora", "sd_v1_v", "False"),
        (kinds.SD2, "epsilon", "stable-diffusion-v2-512/lora", "sd_v2", "True"),
        (kinds.SD2, "v_prediction", "stable-diffusion-v2-768-v/lora", "sd_v2_v", "True"),
        (kinds.SDXL, "epsilon", "stable-diffusion-xl-v1-base/lora", "sdxl_base_v1-0", "False"),
    ],
)
def test_an_adapter_is_told_as_sd_scripts_tells_it(kind, prediction, architecture, version, v2):
    told = modelspec.of(kind, "lora", layout="kohya", prediction=prediction)
    assert told["modelspec.architecture"] == architecture
    assert told["modelspec.prediction_type"] == ("v" if prediction == "v_prediction" else "epsilon")
    by = modelspec.GENERATIVE if kind is kinds.SDXL else modelspec.DIFFUSERS
    assert told["modelspec.implementation"] == by
    assert kinds.of_spec(architecture) is kind
    assert modelspec.base(kind, prediction=prediction) == {"ss_base_model_version": version, "ss_v2": v2}


def test_the_hashes_are_those_of_the_file_with_its_ss_header_alone(tmp_path):
    tensors = {"a": torch.arange(400_000.0), "b": torch.ones(3)}
    header = {"ss_network_dim": "4", "modelspec.title": "any"}
    save_file(tensors, tmp_path / "a.safetensors", metadata={"ss_network_dim": "4"})
    data = (tmp_path / "a.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    wanted = {
        "sshs_model_hash": hashlib.sha256(data[8 + length :]).hexdigest(),
        "sshs_legacy_hash": hashlib.sha256(data[0x100000:0x110000]).hexdigest()[:8],
    }
    assert modelspec.hashes(tensors, header) == wanted
    assert modelspec.hashes(tensors, {**header, "modelspec.title": "another"}) == wanted
    assert modelspec.hashes({**tensors, "b": torch.zeros(3)}, header) != wanted


def test_a_new_word_is_told_too():
    told = modelspec.of(kinds.SD1, "textual-inversion", layout="kohya", prediction="epsilon")
    assert told["modelspec.architecture"] == "stable-diffusion-v1/textual-inversion"
    assert told["modelspec.implementation"] == modelspec.GENERATIVE
