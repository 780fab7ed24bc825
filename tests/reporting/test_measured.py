from dataclasses import replace

from pipeline.reporting import measured
from pipeline.reporting.histograms import histogram
from pipeline.reporting.pictures import Album


def test_each_bar_that_has_pictures_opens_some_of_them_by_name(record):
    ids = [row.sample_id for row in record.ledger if row.sample_id][:20]
    one = histogram("noise__sigma", "noise", {who: float(place % 4) for place, who in enumerate(ids)})
    shown = measured.bars(replace(record, histograms=[one]), Album(record.thumbnails))["histograms"]
    ((_, chart, opened),) = shown
    assert sum(bar.count for _, bar, _ in opened) == 20
    names = {row.sample_id: row.origin for row in record.ledger}
    for anchor, bar, tiles in opened:
        assert f'href="#{anchor}"' in chart
        assert [tile.origin for tile in tiles] == [names[who] for who in bar.examples]


def test_where_nothing_was_measured_there_is_no_section(record):
    album = Album({})
    assert measured.bars(replace(record, histograms=()), album) == {}
    assert measured.variety(replace(record, variety=None), album) == {}
    assert measured.variety(record, album) == {"variety": record.variety}
