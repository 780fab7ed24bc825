import functools
import threading
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from pydantic import BaseModel

from pipeline import fused, imaging, stage
from pipeline.errors import PictureError
from pipeline.stage import Tools
from pipeline.starter.pictures import picture
from pipeline.workspace import Workspace


class Params(BaseModel, frozen=True):
    offset: int = 0


def measurer(name, value, *, version=1):
    """A measurer that counts its pictures."""
    seen = []

    def measure(canonical, params):
        seen.append(canonical.pixel_id)
        return {f"{name}__value": value(canonical) + params.offset}

    adds = pa.schema([(f"{name}__value", pa.float64())])
    return SimpleNamespace(__name__=f"tests.{name}", VERSION=version, ADDS=adds, measure=measure, seen=seen)


def mean():
    return measurer("mean", lambda canonical: float(canonical.pixels.mean()))


def width():
    return measurer("width", lambda canonical: canonical.width)


@pytest.fixture
def tools(tmp_path):
    return Tools(Workspace.create(tmp_path / "w"))


@pytest.fixture
def decoded(monkeypatch):
    """Names of the files that were decoded, one for each call."""
    names, lock, real = [], threading.Lock(), imaging.decode

    def decode(data, *, name="", **rest):
        with lock:
            names.append(name)
        return real(data, name=name, **rest)

    monkeypatch.setattr(imaging, "decode", decode)
    return names


def pictures(tools, *seeds):
    return {
        tools.workspace.keep_original(imaging.encode_png(picture(seed, side=48).pixels)): f"folder/{seed}.png"
        for seed in seeds
    }


def test_one_decode_feeds_all(tools, decoded):
    samples = pictures(tools, 1, 2, 3)
    both = [(mean(), Params()), (width(), Params(offset=1))]
    stored = fused.measure(both, samples, tools)
    assert sorted(decoded) == ["folder/1.png", "folder/2.png", "folder/3.png"]
    assert list(stored) == ["mean", "width"]
    assert stored["width"].table().to_pylist() == [
        {"sample_id": one, "width__value": 49.0, "error": None} for one in sorted(samples)
    ]
    means = {row["sample_id"]: row["mean__value"] for row in stored["mean"].table().to_pylist()}
    for sample_id, name in samples.items():
        seed = int(name.removeprefix("folder/").removesuffix(".png"))
        assert means[sample_id] == pytest.approx(picture(seed, side=48).pixels.mean())
    assert [(stat.name, stat.computed, stat.cached) for stat in tools.stats] == [("measure", 3, 0)]


def test_only_what_lacks_is_measured(tools, decoded):
    first, second = mean(), width()
    fused.measure([(first, Params())], pictures(tools, 1, 2), tools)
    decoded.clear()
    fused.measure([(first, Params()), (second, Params())], pictures(tools, 1, 2, 3), tools)
    assert len(decoded) == 3
    assert (len(first.seen), len(second.seen)) == (3, 3)
    decoded.clear()
    fused.measure([(first, Params()), (second, Params())], pictures(tools, 1, 2, 3), tools)
    assert decoded == []


@pytest.mark.parametrize("change", [{"params": Params(offset=1)}, {"version": 2}])
def test_another_parameter_or_version_measures_that_one_again(tools, decoded, change):
    still = width()
    fused.measure([(mean(), Params()), (still, Params())], pictures(tools, 1), tools)
    again = measurer("mean", lambda canonical: 5, version=change.get("version", 1))
    params = change.get("params", Params())
    stored = fused.measure([(again, params), (still, Params())], pictures(tools, 1), tools)
    assert (len(again.seen), len(still.seen)) == (1, 1)
    assert stored["mean"].table()["mean__value"].to_pylist() == [5 + params.offset]


def test_another_version_of_the_pixels_measures_all_again(tools, decoded, monkeypatch):
    fused.measure([(mean(), Params())], pictures(tools, 1), tools)
    monkeypatch.setattr(imaging, "PIXELS_VERSION", imaging.PIXELS_VERSION + 1)
    fused.measure([(mean(), Params())], pictures(tools, 1), tools)
    assert len(decoded) == 2


def test_a_bad_picture_is_an_error_in_each_and_the_others_go_on(tools, decoded):
    good, first, second = pictures(tools, 1), mean(), width()
    bad = tools.workspace.keep_original(b"<html>no picture</html>")
    for _ in range(2):
        stored = fused.measure([(first, Params()), (second, Params())], {**good, bad: "bad.jpg"}, tools)
        for one in stored.values():
            errors = {row["sample_id"]: row["error"] for row in one.table().to_pylist()}
            assert errors.pop(bad).startswith("not_a_picture: ")
            assert list(errors.values()) == [None]
    assert len(decoded) == 2
    assert len(first.seen) == len(second.seen) == 1


def test_a_picture_that_one_measurer_refuses_is_an_error_there_alone(tools):
    def refuse(canonical):
        raise PictureError("too_plain", "one colour")

    stored = fused.measure([(measurer("mean", refuse), Params()), (width(), Params())], pictures(tools, 1), tools)
    assert stored["mean"].table()["error"].to_pylist() == ["too_plain: one colour"]
    assert stored["width"].table()["error"].to_pylist() == [None]


def test_a_new_extension_is_looked_at_again_and_a_new_name_is_not(tools, decoded):
    notes = SimpleNamespace(
        __name__="tests.notes",
        VERSION=1,
        ADDS=pa.schema([("notes__text", pa.string())]),
        measure=lambda canonical, params: {"notes__text": "; ".join(canonical.notes)},
    )
    (sample_id,) = pictures(tools, 1)
    told = []
    for name in ("a.png", "b/c.PNG", "a.jpg", "a.png"):
        stored = fused.measure([(notes, Params())], {sample_id: name}, tools)
        told += stored["notes"].table()["notes__text"].to_pylist()
    assert told == ["", "", "extension says jpg, content is PNG", ""]
    assert decoded == ["a.png", "a.jpg"]


def test_a_stopped_measuring_keeps_what_it_committed(tools, monkeypatch):
    monkeypatch.setattr(fused, "cut", functools.partial(stage.cut, shard=4))
    samples = pictures(tools, *range(10))
    calls = []

    def value(canonical):
        if len(calls) == 6:
            raise KeyboardInterrupt
        calls.append(1)
        return float(np.mean(canonical.pixels))

    tools.workers = 1
    with pytest.raises(KeyboardInterrupt):
        fused.measure([(measurer("mean", value), Params())], samples, tools)
    rest = mean()
    stored = fused.measure([(rest, Params())], samples, tools)
    assert len(rest.seen) == 6
    assert len(stored["mean"].table()) == 10


def test_nothing_to_measure(tools):
    assert len(fused.measure([(mean(), Params())], {}, tools)["mean"].table()) == 0


def test_every_picture_is_told(tools):
    told = []
    tools.progress = lambda *told_now: told.append(told_now)
    fused.measure([(mean(), Params())], pictures(tools, 1, 2, 3), tools)
    assert [done for _, done, _ in told] == [0, 1, 2, 3, 3]
    assert {(name, total) for name, _, total in told} == {("measure", 3)}
