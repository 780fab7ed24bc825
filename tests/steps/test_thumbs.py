import numpy as np
import pytest

from pipeline import imaging, thumbnails
from pipeline.stage import Tools
from pipeline.steps import thumbs
from pipeline.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace.create(tmp_path / "work")


def saved(workspace, seed):
    return workspace.keep_original(
        imaging.encode_png(np.random.default_rng(seed).integers(0, 255, (90, 120, 3), dtype=np.uint8))
    )


def test_each_is_made_once_for_each_size(workspace, monkeypatch):
    looked, run = [], thumbnails.run
    monkeypatch.setattr(thumbnails, "run", lambda rows, *more: looked.extend(rows) or run(rows, *more))
    samples = [saved(workspace, seed) for seed in range(3)]
    tools = Tools(workspace)
    first = thumbs.of([*samples[:2], samples[0]], tools, side=32)
    assert list(first) == samples[:2]
    assert [(one.name, one.computed, one.cached) for one in tools.stats] == [("thumbnails", 2, 0)]
    again = thumbs.of(samples, Tools(workspace), side=32)
    assert {name: again[name] for name in first} == first
    assert len(looked) == 3
    quiet = Tools(workspace)
    assert thumbs.of(samples, quiet, side=32) == again
    assert quiet.stats == []
    assert thumbs.of(samples, quiet, side=64).keys() == again.keys()
    assert len(looked) == 6
    monkeypatch.setattr(imaging, "PROXY_VERSION", imaging.PROXY_VERSION + 1)
    thumbs.of(samples, quiet, side=32)
    assert len(looked) == 9


def test_what_is_no_picture_or_gone_has_none_and_what_was_made_is_still_shown(workspace):
    kept, lost = saved(workspace, 1), saved(workspace, 2)
    bad = workspace.keep_original(b"no picture")
    found = thumbs.of([kept, bad], Tools(workspace), side=32)
    assert list(found) == [kept]
    workspace.original(kept).unlink()
    workspace.original(lost).unlink()
    assert thumbs.of([kept, bad, lost, "0" * 64], Tools(workspace), side=32) == found
    assert thumbs.of([], Tools(workspace), side=32) == {}


def test_a_picture_that_is_only_referred_to_and_away_costs_no_report(workspace, tmp_path):
    file = tmp_path / "away.png"
    file.write_bytes(imaging.encode_png(np.zeros((20, 30, 3), np.uint8)))
    sample_id = workspace.keep_original(file.read_bytes())
    place = workspace.original(sample_id)
    place.unlink()
    place.symlink_to(file)
    aside = file.rename(tmp_path / "aside.png")
    assert thumbs.of([sample_id], Tools(workspace), side=32) == {}
    aside.rename(file)
    assert list(thumbs.of([sample_id], Tools(workspace), side=32)) == [sample_id]
