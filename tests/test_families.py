import json
import re
from pathlib import Path

import pytest

from pipeline import families
from pipeline.errors import ModelError


def index(folder, **told):
    (folder / "model_index.json").write_text(json.dumps(told))
    return folder


@pytest.mark.parametrize(
    ("pipeline", "family"),
    [
        ("StableDiffusionPipeline", families.SD),
        ("StableDiffusionImg2ImgPipeline", families.SD),
        ("StableDiffusionXLPipeline", families.SDXL),
    ],
)
def test_a_folder_says_its_family(tmp_path, pipeline, family):
    assert families.of(index(tmp_path, _class_name=pipeline)) is family


@pytest.mark.parametrize("pipeline", ["StableDiffusionXLImg2ImgPipeline", "StableDiffusion3Pipeline", ""])
def test_others_are_refused_with_one_sentence(tmp_path, pipeline):
    with pytest.raises(ModelError, match=r"^my\.field: .*not supported yet.*Stable Diffusion XL\.$"):
        families.of(index(tmp_path, _class_name=pipeline), field="my.field")


def test_no_family_shares_a_pipeline():
    every = [one for family in families.FAMILIES for one in family.pipelines]
    assert len(set(every)) == len(every)


def test_each_text_encoder_has_its_tokenizer():
    assert [families.tokenizer_of(one) for one in families.SDXL.text_encoders] == ["tokenizer", "tokenizer_2"]


@pytest.mark.parametrize(
    ("told", "zeros"),
    [
        ({"_class_name": "StableDiffusionXLPipeline"}, True),
        ({"_class_name": "StableDiffusionXLPipeline", "force_zeros_for_empty_prompt": False}, False),
        ({"_class_name": "StableDiffusionPipeline"}, False),
    ],
)
def test_what_no_caption_is(tmp_path, told, zeros):
    assert families.nothing_is_zeros(index(tmp_path, **told)) is zeros


def test_what_the_page_says_of_sdxl_is_what_the_guides_set():
    page = Path(__file__).parents[1] / "docs" / "training.md"
    rows = dict(re.findall(r"^\| (\w[\w, ]*) \|.*\| ([^|]+) \|$", page.read_text(encoding="utf-8"), re.MULTILINE))
    for method, wanted in families.SDXL.advised.items():
        told = {name: float(value) for name, value in re.findall(r"`(\w+): ([^`]+)`", rows[method])}
        assert told == wanted or {"learning_rate": 1e-4, **told} == wanted, method
