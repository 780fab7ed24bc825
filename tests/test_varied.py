import json

import pytest

from pipeline import plan, varied
from pipeline.recipe import parse
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.starter.defects import encoded
from pipeline.starter.pictures import picture, subject
from pipeline.steps.embed import Params
from pipeline.workspace import Workspace


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Nine pictures of a robot and one that is no robot."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(9):
        (folder / f"robot{number}.png").write_bytes(encoded(subject("robot", number, side=64).pixels))
    (folder / "other.png").write_bytes(encoded(picture(3, side=64).pixels))
    made = Run.create(
        Workspace.create(tmp_path_factory.mktemp("work") / "w"),
        parse(
            {
                "name": "robots",
                "sources": [{"path": str(folder)}],
                "rights": {"unknown": "accept"},
                "dedup": {"near": None},
                "split": {"held_out": 0.0},
            }
        ),
        command="test",
    )
    for step in ("ingest", "measure", "select"):
        plan.do(made, step, Tools(made.workspace, workers=1))
    return made


def test_a_set_is_looked_at_once_and_told_of_in_words_on_a_page_and_for_a_script(run):
    tools = Tools(run.workspace, workers=1)
    found = varied.look(run, tools, Params(), similarity=0.9)
    assert found.pictures == found.compared == 10
    assert 1 <= found.effective <= 10
    assert sorted(who for one in found.clusters for who in one) == sorted(row["sample_id"] for row in run.rows("kept"))
    again = Tools(run.workspace, workers=1)
    assert varied.look(run, again, Params(), similarity=0.9) == found
    assert again.stats[0].computed == 0

    page = varied.write(run, found)
    assert page.read_text(encoding="utf-8").count("data:image/webp") >= 1
    told = json.loads(json.dumps(varied.value(run, found, page)))
    assert sum(map(len, told["clusters"])) == 10
    assert "10 pictures, 10 compared" in varied.text(run, found, page)
    assert any("are square" in one for one in told["advice"])


def test_a_stricter_likeness_parts_the_set_and_a_looser_one_joins_it(run):
    tools = Tools(run.workspace, workers=1)
    apart, joined = (varied.look(run, tools, Params(), similarity=at) for at in (1.0, -1.0))
    assert len(apart.clusters) == 10
    assert len(joined.clusters) == 1
    assert "10 of 10 pictures share one viewpoint: add some from elsewhere." in joined.advice


def test_of_a_run_that_kept_nothing_nothing_is_said(run, tmp_path):
    bare = Run.create(Workspace.create(tmp_path / "w"), run.recipe, command="test")
    found = varied.look(bare, Tools(bare.workspace), Params(), similarity=0.9)
    assert (found.pictures, found.effective, list(found.clusters), list(found.advice)) == (0, 0.0, [], [])
