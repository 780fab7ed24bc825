import pytest

from pipeline import plan
from pipeline.recipe import parse
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.starter.defects import encoded
from pipeline.starter.pictures import picture
from pipeline.steps import overview
from pipeline.workspace import Workspace


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Eight drawn pictures of one size, one of them too small, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(8):
        side = 32 if number == 3 else 96
        (folder / f"{number}.png").write_bytes(encoded(picture(number, side=side).pixels))
    (folder / "broken.png").write_bytes(b"no picture")
    recipe = parse(
        {
            "name": "toys",
            "sources": [{"path": str(folder)}],
            "rights": {"unknown": "accept"},
            "dedup": {"near": None},
            "select": {"resolution__short_side": {"min": 64}},
        }
    )
    made = Run.create(Workspace.create(tmp_path_factory.mktemp("work") / "w"), recipe, command="test")
    for step in ("ingest", "measure", "select"):
        plan.do(made, step, Tools(made.workspace, workers=1))
    return made


def test_histograms_count_every_picture_that_could_be_read(run):
    found = overview.histograms(run)
    assert found[0].column == "resolution__short_side"
    assert found[0].limit == "at least 64"
    assert sum(bar.count for bar in found[0].bars if bar.refused) == 1
    assert {sum(bar.count for bar in one.bars) for one in found} == {8}
    assert all(one.about for one in found)
    assert len({one.column for one in found}) == len(found) > 10


def test_variety_is_of_what_stayed(run):
    found = overview.variety(run)
    assert {sum(one.counts.values()) for one in found.spreads} == {7}
    assert any("7 of 7 pictures are square" in one for one in found.advice)
    assert found.terms == []


def test_of_a_run_that_has_got_nowhere_nothing_is_said(run, tmp_path):
    bare = Run.create(Workspace.create(tmp_path / "w"), run.recipe, command="test")
    assert overview.histograms(bare) == []
    assert overview.variety(bare).spreads == ()
