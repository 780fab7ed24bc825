"""A stage does not know where it is computed: other processes, to which all is sent by cloudpickle, make the same."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import cloudpickle
import pytest

from pipeline import fused
from pipeline.captioners import blip
from pipeline.dedup import perceptual
from pipeline.scorers import exposure, sharpness
from pipeline.stage import Tools, ensure
from pipeline.starter.defects import encoded
from pipeline.starter.pictures import picture
from pipeline.steps.caption import Captioning
from pipeline.workspace import Workspace


class Sent:
    """A function that arrives in another process as itself."""

    def __init__(self, function):
        self.data = cloudpickle.dumps(function)

    def __reduce__(self):
        return cloudpickle.loads, (self.data,)


class Elsewhere:
    """An executor whose parts are computed by two processes that share nothing with this one."""

    def __init__(self):
        self.parts = 0

    def map(self, compute, parts):
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
            asked = [(part, pool.submit(Sent(compute), part)) for part in parts]
            self.parts += len(asked)
            for part, answer in asked:
                yield part, answer.result()


@pytest.fixture
def places(tmp_path):
    """Two workspaces with the same pictures, one of them computed elsewhere; the pictures' ids."""
    here, there = (Tools(Workspace.create(tmp_path / name)) for name in ("here", "there"))
    data = [encoded(picture(seed).pixels) for seed in range(5)] + [b"no picture"]
    ids = [here.workspace.keep_original(one) for one in data]
    assert ids == [there.workspace.keep_original(one) for one in data]
    return here, replace(there, executor=Elsewhere()), ids


@pytest.mark.slow
def test_what_is_measured_elsewhere_is_the_same(places):
    here, there, ids = places
    measurers = [(one, one.Params()) for one in (sharpness, exposure, perceptual)]
    names = dict.fromkeys(ids, "a.png")
    one, other = (fused.measure(measurers, names, tools) for tools in (here, there))
    assert there.executor.parts == 1
    for name, stored in one.items():
        assert stored.table().equals(other[name].table())
    assert one["sharpness"].table()["error"].to_pylist().count(None) == 5


@pytest.mark.slow
def test_a_model_captions_elsewhere_with_the_same_words(places):
    here, there, ids = places
    rows = [{"sample_id": one, "pixel_id": one} for one in ids]
    params = blip.Params()
    one, other = (
        ensure(Captioning(blip), rows, params, tools, weights=blip.weights(params), shard=3) for tools in (here, there)
    )
    assert there.executor.parts == 2
    assert one.table().equals(other.table())
    assert len([text for text in one.table()["caption__body"].to_pylist() if text]) == 5
