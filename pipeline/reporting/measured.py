"""The sections of a report about what was measured: on a set's pictures, and of the model before and after."""

from collections.abc import Mapping

from pipeline.reporting import histograms
from pipeline.reporting.charts import interval_mark, share_bar
from pipeline.reporting.galleries import Tile
from pipeline.reporting.pictures import Album
from pipeline.reporting.record import Metric, RunRecord
from pipeline.reporting.words import plain


def bars(record: RunRecord, album: Album) -> Mapping[str, object]:
    """Each histogram with its drawing, and some pictures of each bar under the anchor that the bar leads to."""
    if not record.histograms:
        return {}
    names = {row.sample_id: row.origin for row in record.ledger}
    shown = []
    for one in record.histograms:
        opened = [
            (
                histograms.anchor(one, place),
                bar,
                [Tile(album.thumbnail(who), names.get(who, who[:12]), "") for who in bar.examples],
            )
            for place, bar in enumerate(one.bars)
            if bar.count
        ]
        shown.append((one, histograms.chart(one), opened))
    return {"histograms": shown}


def variety(record: RunRecord, _: Album) -> Mapping[str, object]:
    """How the pictures that stayed are spread, words of most captions, and advice."""
    return {"variety": record.variety} if record.variety and record.variety.spreads else {}


def metrics(record: RunRecord, _: Album) -> Mapping[str, object]:
    """Each measure of the model before and after, with how its difference reads."""
    return {"rows": [_metric(metric) for metric in record.metrics]} if record.metrics else {}


def _metric(metric: Metric) -> Mapping[str, object]:
    tone = {True: "good", False: "bad", None: "neutral"}[metric.helped]
    reading, mark = "no interval", ""
    if metric.difference is not None and metric.low is not None and metric.high is not None:
        mark = interval_mark(metric.difference, metric.low, metric.high, tone=tone)
        reading = {True: "better", False: "worse", None: "changed"}[metric.helped]
        reading = reading if metric.distinguishable else "not distinguishable"
    return {"metric": metric, "tone": tone, "reading": reading, "mark": mark, "name": plain(metric.name)}


def cost(record: RunRecord, _: Album) -> Mapping[str, object]:
    """The time of each stage, with a bar."""
    if not record.stages:
        return {}
    longest = max(stage.seconds for stage in record.stages) or 1.0
    bars = [share_bar([("on", round(1000 * stage.seconds / longest))], 1000) for stage in record.stages]
    seconds = sum(stage.seconds for stage in record.stages)
    return {"stages": list(zip(record.stages, bars, strict=True)), "seconds": seconds}
