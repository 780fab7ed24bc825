import json

import pytest

from flows.review_lessons import learn
from pipeline.errors import InputError
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


def test_a_run_without_captions(begun):
    with pytest.raises(InputError, match="no captions to review"):
        learn(begun())
