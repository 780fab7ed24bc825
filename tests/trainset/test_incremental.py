"""Ten pictures more in a thousand: every stage from the decode to the latents and texts computes ten rows."""

import pytest

from pipeline import imaging, plan
from pipeline.recipe import parse
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.starter.pictures import picture
from pipeline.workspace import Workspace

STAGES = ("measure", "edges", "sidecar", "latents", "texts")


@pytest.fixture
def photos(tmp_path):
    """A folder that `add` puts drawn pictures into, each in a folder of its own that makes its caption its own."""

    def add(seeds):
        for seed in seeds:
            path = tmp_path / "photos" / f"number {seed}" / "picture.png"
            path.parent.mkdir(parents=True)
            path.write_bytes(imaging.encode_png(picture(seed, side=48).pixels))
        return tmp_path / "photos"

    return add


def prepare(workspace, folder, base, decoded):
    """Prepare a training set; what each stage computed and found, and how many files were decoded for measuring."""
    recipe = parse(
        {
            "name": "toys",
            "sources": [{"path": str(folder), "class": "{folder}", "rights": {"license": "CC0-1.0"}}],
            "rights": {"allow": ["CC0-1.0"]},
            "dedup": {"near": None},
            "caption": {"captioner": "sidecar", "prefer_sidecar": False, "compose": "{class}, {body}"},
            "buckets": {"resolution": 48, "step": 16},
            "base_model": {"id": base},
        }
    )
    run, tools = Run.create(workspace, recipe, command="test"), Tools(workspace)
    decoded.clear()
    for step in (*plan.STEPS["prepare"], *plan.STEPS["review"], *plan.STEPS["assemble"]):
        plan.do(run, step, tools)
    stats = {stat.name: (stat.computed, stat.cached) for stat in run.stats() if stat.name in STAGES}
    return run, stats, len(decoded)


@pytest.mark.slow
def test_ten_more_pictures_compute_ten_rows_in_every_stage(tmp_path, photos, base, monkeypatch):
    decoded, real = [], imaging.decode
    monkeypatch.setattr(imaging, "decode", lambda data, **rest: decoded.append(1) or real(data, **rest))
    workspace = Workspace.create(tmp_path / "w")

    first, stats, _ = prepare(workspace, photos(range(1000)), base, decoded)
    assert {row["state"] for row in first.rows("ledger")} == {"kept", "held_out"}
    flat = sum(row["perceptual__flat"] for row in first.rows("samples"))
    # pictures too flat to compare are left out of the edges, and there is one text more: the empty caption
    assert stats == {**dict.fromkeys(STAGES, (1000, 0)), "edges": (1000 - flat, 0), "texts": (1001, 0)}

    second, stats, decodes = prepare(workspace, photos(range(1000, 1010)), base, decoded)
    assert stats == {**dict.fromkeys(STAGES, (10, 1000)), "edges": (10, 1000 - flat), "texts": (10, 1001)}
    assert decodes == 20  # ten for measuring, ten for encoding
    assert second.json("trainset")["digest"] != first.json("trainset")["digest"]

    third, stats, decodes = prepare(workspace, tmp_path / "photos", base, decoded)
    assert stats == {**dict.fromkeys(STAGES, (0, 1010)), "edges": (0, 1010 - flat), "texts": (0, 1011)}
    assert decodes == 0
    assert third.json("trainset") == second.json("trainset")
    # held out stays held out
    before = {row["origin"] for row in first.rows("ledger") if row["state"] == "held_out"}
    after = {row["origin"] for row in third.rows("ledger") if row["state"] == "held_out"}
    assert before
    assert before <= after
