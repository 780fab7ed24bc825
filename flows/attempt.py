"""One step of a run, done so that whatever happens is an outcome with a message and an exit code, never a traceback."""

import logging
import traceback
from dataclasses import asdict, dataclass

from pipeline import plan
from pipeline.errors import GessoError
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
    except Exception as error:  # a bug, or a full disk: the run ends, and the message says where to look
        log.exception("step %s failed", step)
        path = run.folder / "error.txt"
        write_bytes(path, traceback.format_exc().encode())
        outcome = Outcome(step, f"step {step} failed: {type(error).__name__}: {error}. More in {path}", 1)
    else:
        tools.say(f"{step}: {said}")
        return Outcome(step, said)
    log.warning("%s: %s", step, outcome.message)
    run.save_json("outcome", asdict(outcome))
    return outcome
