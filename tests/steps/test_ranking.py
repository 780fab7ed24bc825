import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.captioning import Caption
from pipeline.stage import Tools
from pipeline.steps import fit, ranking
from pipeline.steps.review import rows_of

BEFORE = ("ingest", "measure", "select", "caption")
CAPTION = {"captioner": "blip", "model": "starter", "prefer_sidecar": False}
DRAWN = {**CAPTION, "params": {"top_p": 0.99, "candidates": 4, "seed": 3}}


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8))
def test_one_judge_alone_decides_and_equals_stay_in_their_order(scores):
    found = ranking.order([scores])
    assert found == sorted(range(len(scores)), key=lambda place: -scores[place])
    assert ranking.order([scores, scores]) == found


def test_two_judges_share_the_word_and_one_that_is_dumb_has_none():
    assert ranking.order([[3.0, 1.0, 2.0], [90.0, 80.0, 99.0]]) == [0, 2, 1]
    assert ranking.order([[None, None], [1.0, 2.0]]) == [1, 0]
    assert ranking.order([]) == []


def test_the_candidate_that_clip_likes_best_becomes_the_caption(begun):
    made = begun(caption={**DRAWN, "rerank": ["clip"]}).go(*BEFORE)
    rows = made.run.rows("captions")
    assert any(row["candidates"] for row in rows)
    pixels = {row["sample_id"]: row["pixel_id"] for row in made.run.rows("kept")}
    for row in rows:
        texts = [row["body"], *row["candidates"]]
        asked = [{"sample_id": row["sample_id"], "pixel_id": pixels[row["sample_id"]], "body": one} for one in texts]
        tools = Tools(made.run.workspace)
        scores = fit.by_clip(made.run, asked, tools)
        assert tools.stats[0].computed == 0
        assert scores == sorted(scores, reverse=True)
    shown = {row.sample_id: row for row in rows_of(made.run)}
    assert all(list(shown[row["sample_id"]].candidates) == row["candidates"] for row in rows)


def test_matching_without_a_matcher_is_refused():
    with pytest.raises(ValidationError, match=r"itm needs caption\.matcher"):
        Caption(rerank=("clip", "itm"))
