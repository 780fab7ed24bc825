"""One step of a run, done so that whatever happens is an outcome with a message and an exit code, never a traceback."""

import logging
import signal
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass

from pipeline import disk, plan
from pipeline.errors import DiskError, GessoError
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.workspace import write_bytes

log = logging.getLogger(__name__)

WAITING = 3
"""Exit code of a run that waits for people."""


@dataclass(frozen=True)
class Outcome:
    """How a step ended: its summary, or what is wrong, and the exit code that this makes (0: done)."""

    step: str
    message: str
    exit_code: int = 0


def attempt(run: Run, step: str, tools: Tools) -> Outcome:
    """Do a step; one that ends the run is written down as the run's `outcome`.

    What nobody foresaw leaves its traceback in the run's `error.txt`, for a bug report.
    """
    try:
        said = plan.do(run, step, tools)
    except GessoError as error:
        outcome = Outcome(step, str(error), error.exit_code)
    except Exception as error:
        refused = disk.explained(error, run.workspace.root)
        outcome = Outcome(step, str(refused), refused.exit_code) if refused else _bug(run, step, error)
    except BaseException as stop:  # a signal; Prefect has a class of its own for it
        _end(run, Outcome(step, "stopped", 128 + getattr(stop, "signal", signal.SIGINT)))
        raise
    else:
        tools.say(f"{step}: {said}")
        return Outcome(step, said)
    _end(run, outcome)
    return outcome


def _bug(run: Run, step: str, error: Exception) -> Outcome:
    log.exception("step %s failed", step)
    path = run.folder / "error.txt"
    with suppress(OSError):
        write_bytes(path, traceback.format_exc().encode())
    return Outcome(step, f"step {step} failed: {type(error).__name__}: {error}. More in {path}", 1)


def _end(run: Run, outcome: Outcome) -> None:
    log.warning("%s: %s", outcome.step, outcome.message)
    with suppress(OSError, DiskError):  # a disk that is full or gone must not hide why the run ended
        run.check()
        run.save_json("outcome", asdict(outcome))
