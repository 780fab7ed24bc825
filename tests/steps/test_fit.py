import pytest

from pipeline.imaging import decode
from pipeline.metrics import clip_score
from pipeline.stage import Tools
from pipeline.steps import fit
from pipeline.steps.review import rows_of

TO_CAPTIONS = ("ingest", "measure", "select", "caption")


def computed(run):
    tools = Tools(run.workspace)
    assert fit.measure(run, tools) == 12
    (stat,) = tools.stats
    return stat.computed


def test_every_caption_is_measured_once_as_it_would_be_alone(begun, pictures):
    run = begun().go(*TO_CAPTIONS).run
    assert computed(run) == 12
    assert computed(run) == 0
    rows = rows_of(run)
    for row in rows[:3]:
        seen = decode((pictures / row.origin.rpartition("/")[2]).read_bytes())
        (alone,) = clip_score.measure([seen.proxy], [row.caption], clip="starter")
        assert row.fit == pytest.approx(alone, abs=1e-3)


def test_where_nobody_measured_there_is_no_fit(finished):
    assert {row.fit for row in rows_of(finished.run)} == {None}
