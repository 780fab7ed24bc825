import json

import pytest
import yaml

from flows.review_lessons import Learnt, learn
from pipeline.errors import InputError
from pipeline.lessons import Read, lessons
from pipeline.review import journal
from pipeline.review.journal import Decision
from pipeline.run import Run
from pipeline.steps.review import rows_of
from pipeline.workspace import Workspace


@pytest.fixture
def run(recipe, gesso, tmp_path):
    assert gesso("prepare", recipe(), "-w", "w", "--engine", "plain").exit_code == 0
    workspace = Workspace.open(tmp_path / "w")
    return Run.open(workspace, workspace.latest_run().name)


def decide(run, change):
    said = [
        Decision(
            pixel_id=row.pixel_id,
            reviewer="ann",
            at=journal.now(),
            caption=change(row.proposed, place),
            proposed=row.proposed,
        )
        for place, row in enumerate(rows_of(run))
    ]
    journal.append(run.workspace.decisions, said)


def test_what_people_changed_for_a_person_and_for_a_script(run, gesso):
    assert learn(run).words() == "no caption was read by a person yet"
    decide(run, lambda text, place: f"{text} painted by Ann" if place < 2 else text)
    done = gesso("review", "lessons", "w")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("of 6 captions that people read, 2 needed a hand (33%); ")
    assert "  from sidecar, 6: 2 needed a hand" in done.stdout
    assert "put in: ann 2, painted 2" in done.stdout
    told = json.loads(gesso("review", "lessons", "w", "--json").stdout)
    assert (told["read"], told["edited"], told["share"], told["added"]) == (6, 2, 2 / 6, {"ann": 2, "painted": 2})
    (only,) = told["by_captioner"]
    assert only == {"name": "sidecar", **{key: told[key] for key in only if key != "name"}}
    assert told["replace"] == {}


def test_what_to_write_instead(run, gesso):
    decide(run, lambda text, _: text.replace("background", "wall"))
    told = learn(run)
    replaced = told.value()["replacements"]
    count = sum("background" in row.proposed for row in rows_of(run))
    assert {"phrase": "background", "instead": "wall", "count": count, "seen": count} in replaced
    assert f"  background -> wall   in {count} of {count}" in told.words()


def test_the_list_is_ready_for_the_recipe_and_not_told_again_once_it_is_there(run, gesso, recipe, tmp_path):
    decide(run, lambda text, _: text.replace("background", "wall: grey"))
    words = learn(run).words()
    _, _, block = words.partition("put into the recipe what you agree with:\n")
    told = yaml.safe_load(block)
    assert told["caption"]["replace"]["background"] == "wall: grey"
    has = json.dumps(told["caption"]["replace"])
    done = gesso("prepare", recipe(), "-w", "w", "--engine", "plain", "--set", f"caption.replace={has}")
    assert done.exit_code == 0, done.output
    after = Run.open(run.workspace, run.workspace.latest_run().name)
    assert after.recipe.caption.replace == told["caption"]["replace"]
    assert "put into the recipe" not in learn(after).words()


def test_of_two_replacements_of_one_phrase_the_more_frequent_is_taken(run):
    found = Learnt(run, lessons([Read("a cat", "a tabby", "x")] * 3 + [Read("a cat", "a lion", "x")] * 3))
    assert {one.instead for one in found.found.replacements} == {"tabby", "lion"}
    assert found.replace() == {"cat": found.found.replacements[0].instead}


def test_a_run_without_captions(begun):
    with pytest.raises(InputError, match="no captions to review"):
        learn(begun())
