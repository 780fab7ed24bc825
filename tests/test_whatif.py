import json

import pytest

from pipeline import plan, whatif
from pipeline.errors import RecipeError, WorkspaceError
from pipeline.recipe import parse
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.starter.defects import encoded
from pipeline.starter.pictures import picture
from pipeline.workspace import Workspace


def recipe_of(folder, **select):
    return parse(
        {
            "name": "toys",
            "sources": [{"path": str(folder)}],
            "rights": {"unknown": "accept"},
            "split": {"held_out": 0.0},
            "select": select,
        }
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Six drawn pictures of rising size, and a small copy of the largest."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(6):
        (folder / f"{number}.png").write_bytes(encoded(picture(number, side=64 + 16 * number).pixels))
    (folder / "copy.png").write_bytes(encoded(picture(5, side=72).pixels))
    made = Run.create(
        Workspace.create(tmp_path_factory.mktemp("work") / "w"),
        recipe_of(folder, resolution__short_side={"min": 70}),
        command="test",
    )
    for step in ("ingest", "measure", "select"):
        plan.do(made, step, Tools(made.workspace, workers=1))
    return made


def limit(run, least, most=None):
    bounds = {"min": least} if most is None else {"min": least, "max": most}
    return recipe_of(run.recipe.sources[0].path, resolution__short_side=bounds)


def names(pairs):
    return sorted(after["origin"].rpartition("/")[2] for _, after in pairs)


def test_what_is_gained_and_lost_is_what_a_run_with_those_limits_decides(run):
    before = {path: path.stat().st_mtime_ns for path in run.folder.iterdir()}
    found = whatif.compare(run, run.recipe, limit(run, 100))
    assert (names(found.gained), names(found.lost)) == ([], ["1.png", "2.png"])
    assert found.before["kept"] == 5
    assert found.after["kept"] == 3
    assert sum(found.before.values()) == sum(found.after.values()) == 7
    assert whatif.why(found.lost[0][1]) == "resolution__short_side too low 80 (limit 100)"
    assert {path: path.stat().st_mtime_ns for path in run.folder.iterdir()} == before


def test_where_the_best_of_a_group_leaves_another_is_gained(run):
    found = whatif.compare(run, run.recipe, limit(run, 70, 130))
    assert (names(found.gained), names(found.lost)) == (["copy.png"], ["5.png"])


def test_the_page_has_the_pictures_and_a_script_gets_the_same(run):
    found = whatif.compare(run, run.recipe, limit(run, 10))
    page = whatif.write(run, found, ["resolution__short_side.min=10"])
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/webp") == len(found.gained) == 1
    assert "resolution__short_side.min=10" in text
    told = json.loads(json.dumps(whatif.value(found, page)))
    assert [one.rpartition("/")[2] for one in told["gained"]] == ["0.png"]
    words = whatif.words(found, page)
    assert "gained: 1" in words
    assert "too low 64 (limit 70)" in words


def test_a_run_that_has_not_measured_the_column_says_what_to_do(run, tmp_path):
    bare = Run.create(Workspace.create(tmp_path / "w"), run.recipe, command="test")
    with pytest.raises(WorkspaceError, match="gesso prepare"):
        whatif.compare(bare, run.recipe, run.recipe)
    with pytest.raises(RecipeError, match="numbers"):
        whatif.compare(run, run.recipe, recipe_of("p", canonical__format={"min": 1}))
