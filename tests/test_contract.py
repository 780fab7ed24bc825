"""Every plug-in keeps the contract of its kind, which stands in its package's docstring."""

import inspect
from pathlib import Path

import pyarrow as pa
import pytest
from pydantic import BaseModel

from pipeline import plugins
from pipeline.dedup import perceptual
from pipeline.imaging import decode, encode_png
from pipeline.settings import Limit
from pipeline.starter.pictures import picture

ROOT = Path(__file__).parents[1]
EVERY = [(kind, name) for kind in plugins.KINDS for name in plugins.names(kind)]
LEAST = {"sources": 1, "scorers": 5, "judges": 2, "captioners": 2, "methods": 5, "metrics": 6}


def of(*kinds):
    return pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, name in EVERY if kind in kinds])


def load(kind, name):
    return plugins.load(kind, name, field="x")


def arguments(function):
    return list(inspect.signature(function).parameters)


@pytest.mark.parametrize("kind", plugins.KINDS)
def test_there_are_some_of_each_kind(kind):
    assert len(plugins.names(kind)) >= LEAST.get(kind, 4)


@of(*plugins.KINDS)
def test_each_says_what_it_is_and_has_its_test(kind, name):
    module = load(kind, name)
    said = getattr(module, "DESCRIPTION", module.__doc__)
    assert len(said.strip()) > 10
    assert "\n" not in getattr(module, "DESCRIPTION", "")
    assert (ROOT / "tests" / kind / f"test_{name}.py").is_file()


@of("scorers", "judges", "captioners")
def test_each_has_a_version_and_frozen_described_parameters(kind, name):
    module = load(kind, name)
    assert isinstance(module.VERSION, int)
    assert module.VERSION >= 1
    assert issubclass(module.Params, BaseModel)
    assert module.Params.model_config["frozen"]
    assert module.Params.model_config["extra"] == "forbid"
    module.Params()
    undescribed = [one for one, field in module.Params.model_fields.items() if len(field.description or "") < 10]
    assert not undescribed


@pytest.mark.parametrize("name", [*plugins.names("scorers"), "perceptual"])
def test_a_scorer_measures_just_the_columns_that_it_declares(name):
    module = perceptual if name == "perceptual" else load("scorers", name)
    for field in module.ADDS:
        assert field.name.startswith(f"{name}__")
        assert len((field.metadata or {}).get(b"description", b"")) > 3, field.name
    assert arguments(module.measure) == ["picture", "params"]
    for column, limit in getattr(module, "LIMITS", {}).items():
        assert column in module.ADDS.names
        assert set(limit) <= {"min", "max"}
        Limit(**limit)
    seen = decode(encode_png(picture(3, side=48).pixels))
    before = seen.pixels.copy()
    measured = module.measure(seen, module.Params())
    assert set(measured) == set(module.ADDS.names)
    for field in module.ADDS:
        assert pa.array([measured[field.name]], field.type)[0].as_py() is not None
    assert module.measure(seen, module.Params()) == measured
    assert (seen.pixels == before).all()


@of("judges")
def test_a_judge_is_a_stage_whose_weights_are_known_by_their_hash(kind, name):
    module = load(kind, name)
    assert module.KEY == ("sample_id",)
    assert all(field.name.startswith(f"{name}__") and field.metadata[b"description"] for field in module.ADDS)
    assert {"model", "revision"} <= set(module.Params.model_fields)
    assert arguments(module.weights) == ["params"]
    assert arguments(module.run) == ["rows", "params", "tools"]
    for column, limit in module.LIMITS.items():
        assert column in module.ADDS.names
        Limit(**limit)


@of("captioners")
def test_a_captioner_keeps_its_contract(kind, name):
    module = load(kind, name)
    assert isinstance(module.LOOKS, bool)
    assert isinstance(module.SENTENCES, bool)
    assert isinstance(module.READS, tuple)
    assert arguments(module.weights) == arguments(module.provenance) == ["params"]
    assert arguments(module.caption) == ["rows", "params", "device"]
    assert isinstance(module.provenance(module.Params()), str)


@of("methods")
def test_a_method_keeps_its_contract(kind, name):
    module = load(kind, name)
    helper = {"unet": ["scheduler"], "vae": [], "clip": ["processor"], "blip": ["processor"]}[module.LEARNS]
    model = "painter" if module.LEARNS == "unet" else module.LEARNS
    assert arguments(module.train) == [model, "examples", *helper, "settings", "job"]
    assert arguments(module.load) == [model, "folder"]
    assert ("latents" if module.LEARNS == "unet" else "pixels") == module.EXAMPLES
    if module.EXAMPLES == "pixels":
        assert arguments(module.losses)[: 2 + len(helper)] == [model, "batch", *helper]


@of("metrics")
def test_a_metric_keeps_its_contract(kind, name):
    module = load(kind, name)
    assert module.UNIT
    assert module.HIGHER_IS_BETTER in (True, False, None)
    assert callable(module.measure)


@of("sources")
def test_a_source_keeps_its_contract(kind, name):
    module = load(kind, name)
    assert arguments(module.check) == ["source", "position"]
    assert arguments(module.known)[:2] == ["source", "workspace"]
    assert arguments(module.scan)[:5] == ["source", "position", "workspace", "on_read", "progress"]


@of("exports")
def test_an_export_keeps_its_contract(kind, name):
    module = load(kind, name)
    assert arguments(module.write) == ["pictures", "folder", "read", "progress"]
    assert set(module.FILES) == {"train", "validation", "prior"}
