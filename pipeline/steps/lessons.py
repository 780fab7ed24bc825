"""What people changed in the captions that a run proposed."""

from pipeline.lessons import Lessons, Read, lessons
from pipeline.review import journal
from pipeline.review.rows import review_rows
from pipeline.run import Run
from pipeline.steps.review import proposals_of

EARLIER = "an earlier caption"
"""Who proposed what a person read, where that has been proposed anew since."""


def of_run(run: Run) -> Lessons | None:
    """The lessons of all captions that were read, each against what its reader had before them; None where none was."""
    if not run.rows("captions", ("sample_id",)):
        return None
    proposed = proposals_of(run)
    said = journal.load(run.workspace.decisions).latest()
    read = [
        Read(
            proposed=told.proposed,
            caption=told.caption,
            captioner=row.source if row.proposed == told.proposed else EARLIER,
            flags=row.flags if row.proposed == told.proposed else (),
        )
        for row in review_rows(proposed, {})
        if (told := said.get(row.pixel_id)) and told.read and told.caption and told.proposed is not None
    ]
    return lessons(read) if read else None
