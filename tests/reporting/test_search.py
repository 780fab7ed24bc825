from datetime import UTC, datetime

import pytest

from pipeline.reporting import search


def trial(number, value, **more):
    state = more.pop("state", "finished")
    interval = (value - 0.05, value + 0.05) if value else None
    course = more.pop("course", ((1, value or 2.0),))
    return search.Trial(number, state, value, interval, {"train.rank": number}, course, **more)


def record(*trials):
    return search.SearchRecord(
        name="toys <b>",
        run_id="run-1",
        written=datetime(2026, 1, 2, tzinfo=UTC),
        command="gesso tune toys.yaml",
        base_model="starter",
        method="lora",
        steps=10,
        trials=list(trials),
        log=frozenset(),
        importance={"train.rank": 1.0},
        recipe_yaml="name: toys",
    )


def test_the_best_come_first_and_the_same_settings_once():
    made = record(trial(0, 0.9), trial(1, 0.7), trial(2, None, state="pruned"), trial(3, 0.8), trial(4, 0.95))
    assert [one.number for one in made.best] == [1, 3, 0]


@pytest.mark.parametrize(("value", "said"), [(0.8, "falls most: -20 %"), (0.97, "could be chance"), (1.2, "No trial")])
def test_the_verdict_says_whether_it_is_better_than_the_base_model(value, said):
    assert said in search.verdict(record(trial(0, value)))


def test_the_page_has_every_trial_and_why_it_ended_and_no_text_becomes_markup(tmp_path):
    made = record(trial(0, 0.9), trial(1, None, state="failed", course=(), reason="the loss <i>exploded</i>"))
    page = search.write(made, tmp_path / "report.html").read_text()
    assert "toys &lt;b&gt;" in page
    assert "the loss &lt;i&gt;exploded" in page
    assert "http" not in page.replace("http-equiv", "")
    assert "The best side by side" not in page
