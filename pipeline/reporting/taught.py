"""What a review teaches, as its section shows it."""

from collections.abc import Mapping

from pipeline.reporting.charts import share_bar
from pipeline.reporting.pictures import Album
from pipeline.reporting.record import RunRecord


def groups(record: RunRecord, _: Album) -> Mapping[str, object]:
    """The lessons, a bar for each captioner and flag, and the words that went in and out; empty without a review."""
    told = record.lessons
    if not told:
        return {}
    found = [*(("from", one) for one in told.by_captioner), *(("flag", one) for one in told.by_flag)]
    return {
        "lessons": told,
        "groups": [(kind, one, share_bar([("on", one.edited)], one.read)) for kind, one in found],
        "terms": [(kind, terms) for kind, terms in (("put in", told.added), ("took out", told.removed)) if terms],
    }
