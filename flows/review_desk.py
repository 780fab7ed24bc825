"""The desk of a run: its pictures, those first that need a look most, and its journals."""

from flows.reviewing import captioned, writing
from pipeline.review import order
from pipeline.review.desk import Desk
from pipeline.run import Run
from pipeline.steps.review import proposals_of


def desk_of(run: Run) -> Desk:
    """Open the desk.

    Raises:
        InputError: there is nothing to review.
    """
    places = {row.sample_id: place for place, row in enumerate(order.ordered(captioned(run)))}
    proposals = sorted(proposals_of(run), key=lambda one: places[one.sample_id])
    return Desk(proposals, run.workspace.decisions, lambda: writing(run, doing="gesso review serve"))
