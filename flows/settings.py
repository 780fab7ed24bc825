"""Where things are, never what they are: folders and devices, from options and the environment."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.stage import Tools
    from pipeline.workspace import Workspace


def workspace_path(given: str | None, name: str) -> Path:
    """The workspace: as given, else `$GESSO_WORKSPACE`, else `work/<recipe's name>` below the current folder."""
    return Path(given or os.environ.get("GESSO_WORKSPACE") or Path("work") / name)


def device() -> str:
    """Where models run: `$GESSO_DEVICE`, else `auto`, which `pipeline.models` finds out when it loads the first one."""
    return os.environ.get("GESSO_DEVICE") or "auto"


@contextmanager
def tools(workspace: "Workspace") -> Iterator["Tools"]:
    """Tools for a run on this machine, with progress on the terminal for as long as the with-block lasts."""
    from flows.progress import Progress
    from pipeline.stage import Tools

    with Progress() as shown:
        yield Tools(workspace, device=device(), workers=os.cpu_count() or 1, progress=shown.stage, say=shown.say)


def quiet() -> None:
    """Set the environment that keeps libraries from asking servers, chattering and hoarding; call before imports.

    Prefect's own log goes to its server alone: what a person should know of a run, gesso says itself.
    """
    for name, value in {
        "NO_ALBUMENTATIONS_UPDATE": "1",
        "DO_NOT_TRACK": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        # pages about events that no longer reach a server which Ctrl-C has ended, too
        "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
        # its own 20 seconds are too few on a machine that is busy
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "240",
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
        # its own allocator keeps some 50 MiB of what is freed after ten thousand pictures
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "DIFFUSERS_VERBOSITY": "error",
    }.items():
        os.environ.setdefault(name, value)
