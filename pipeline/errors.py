"""Every error that gesso raises on purpose, in one tree.

GessoError                  exit 1: something failed that is not the user's doing
  UserError                 exit 2: names the field, the value and the remedy
    RecipeError             the recipe is wrong
    InputError              a source, a file or an argument is wrong
    WorkspaceError          the workspace is missing, held by someone else, or not writable
      DiskError             exit 1: the disk is full, read-only, failing or gone
        DamagedError        a file is not as it was written
    ModelError              a model is not there and cannot be had, or is of the wrong kind
    ReviewError             a reviewed file cannot be applied
    ContaminationError      exit 1: pictures that are measured on would be trained on
  AwaitingReview            exit 3: people have to decide first
PictureError                one picture is bad: a row in the ledger, never the end of a run
"""


class GessoError(Exception):
    """Base of the errors that end a command; `exit_code` is what the shell sees."""

    exit_code = 1


class UserError(GessoError):
    """A mistake that the user can mend, told in one message.

    `field` is where (a recipe's path such as `sources.0.path`, a CSV's cell, an option), `value` what stands there,
    `remedy` what to do.
    """

    exit_code = 2

    def __init__(self, problem: str, *, remedy: str, field: str = "", value: object = None) -> None:
        self.problem, self.remedy, self.field, self.value = problem, remedy, field, value
        place = f"{field}: " if field else ""
        shown = "" if value is None else f" (got {value!r})"
        super().__init__(f"{place}{problem}{shown}. {remedy}")


class RecipeError(UserError):
    """The recipe has an unknown key, a wrong type or an impossible value."""


class InputError(UserError):
    """A folder, a file or an argument cannot be used."""


class WorkspaceError(UserError):
    """The workspace is missing, locked by another run, or cannot be written."""


class DiskError(WorkspaceError):
    """The disk is full, read-only, failing or gone; what was done so far is kept."""

    exit_code = 1


class DamagedError(DiskError):
    """A file of the workspace, whose path is `field`, is cut off or not as it was written."""


class ModelError(UserError):
    """A model is not there and cannot be had, or is not of the needed kind."""


class ReviewError(UserError):
    """A reviewed file cannot be applied; nothing of it was."""


class ContaminationError(UserError):
    """Pictures that are measured on would be trained on: the run fails."""

    exit_code = 1


class AwaitingReview(GessoError):  # noqa: N818 (nothing went wrong)
    """Not enough has been decided by people for the run to go on."""

    exit_code = 3


class PictureError(Exception):
    """One picture cannot be used; `reason` is a short word for the ledger, `detail` says what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}")
