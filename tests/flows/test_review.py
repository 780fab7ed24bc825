from flows.prepare import prepare
from flows.review import review
from flows.steps import AWAITING


def test_without_a_rule_it_assembles_the_training_set(begun, prefect):
    run = begun()
    prepare(str(run.workspace.root), run.id)
    assert review(str(run.workspace.root), run.id, return_state=True).is_completed()
    assert run.json("trainset")["rows"] == 6


def test_with_one_it_waits(begun, prefect):
    run = begun(review={"require": "all"})
    prepare(str(run.workspace.root), run.id)
    assert review(str(run.workspace.root), run.id, return_state=True).name == AWAITING
    assert not run.json("trainset")
