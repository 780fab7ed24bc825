"""The desk of a run: its pictures, those first that need a look most, and its journals."""

from flows.reviewing import captioned, writing
from pipeline.review import order
from pipeline.review.desk import Desk
from pipeline.run import Run
from pipeline.steps.reading import Reader
from pipeline.steps.review import pictures_of, proposals_of


def reader_of(run: Run) -> Reader:
    """What says of the run's captions how much of them training will read."""
    return Reader(run, pictures_of(run))


def desk_of(run: Run, reader: Reader | None = None) -> Desk:
    """Open the desk; the `reader` (default: a new one) flags captions that are cut.

    Raises:
        InputError: there is nothing to review.
    """
    places = {row.sample_id: place for place, row in enumerate(order.ordered(captioned(run)))}
    proposals = sorted(proposals_of(run), key=lambda one: places[one.sample_id])
    reader = reader or reader_of(run)
    return Desk(
        proposals, run.workspace.decisions, lambda: writing(run, doing="gesso review serve"), marked=reader.marked
    )
