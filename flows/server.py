"""A Prefect server for as long as it is needed, where none is named: schedules need one that stays."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_API_URL, temporary_settings

from pipeline.errors import GessoError
from pipeline.workspace import write_bytes

START_SECONDS = 240.0
"""How long a server may take to answer; one with a fresh database needs about 15 s on two cores, more on busy ones."""
STOP_SECONDS = 10.0
SERVED = "serve.json"
"""Where a workspace tells which server `gesso serve` used last."""


class ServerError(GessoError):
    """Prefect's server does not start, or does not answer."""


@dataclass(frozen=True)
class Served:
    """A server's address, and whether gesso started it itself: then another can be started on its database."""

    address: str
    own: bool

    def write(self, folder: Path) -> None:
        """Write it down in the workspace at `folder`."""
        write_bytes(folder / SERVED, json.dumps(asdict(self)).encode())


@contextmanager
def reached(folder: Path) -> Iterator[str]:
    """The address of the server that knows what `gesso serve` began in the workspace at `folder`, for a with-block.

    The one that is named, else the one that `gesso serve` told of; if that was its own and is gone, another on the
    same database.

    Raises:
        ServerError: it does not answer.
    """
    path = folder / SERVED
    told = Served(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None
    address = PREFECT_API_URL.value() or (told.address if told else "")
    if address and answers(address):
        with temporary_settings({PREFECT_API_URL: address}):
            yield address
    elif PREFECT_API_URL.value() or (told and not told.own):
        raise ServerError(f"Prefect's server at {address} does not answer. Start it, then the same command again.")
    else:
        with server(folder) as address:
            yield address


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """The address of the Prefect server in use; without `PREFECT_API_URL`, of one that ends with the with-block.

    That one listens on a free port of this machine alone; its database and its log lie in `folder`.

    Raises:
        ServerError: it does not start.
    """
    if named := PREFECT_API_URL.value():
        yield named
        return
    port = _free_port()
    address = f"http://127.0.0.1:{port}/api"
    log = folder / "prefect-server.log"
    database = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{folder.resolve() / 'prefect.db'}"}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as written:
        # in a session of its own, so that Ctrl-C reaches the flows first, which tell the server how they ended
        child = subprocess.Popen(  # noqa: S603 (our own interpreter and words)
            command,
            env={**os.environ, **database},
            stdout=written,
            stderr=written,
            start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
    try:
        _wait(child, address, log)
        with temporary_settings({PREFECT_API_URL: address}):
            try:
                yield address
            finally:
                _tell_the_rest()
    finally:
        child.terminate()
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _tell_the_rest() -> None:
    """Send waiting events and logs while the server is there; at exit Prefect would try for half a minute, in vain."""
    EventsWorker.drain_all(STOP_SECONDS)
    APILogWorker.drain_all(STOP_SECONDS)


def _end_with_parent() -> None:
    """Have the kernel end this process when its parent dies, even by kill -9; see prctl(2), PR_SET_PDEATHSIG."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(address: str) -> bool:
    """Whether a server answers there, within five seconds."""
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=5):  # noqa: S310 (an address as Prefect knows it)
            return True
    except (urllib.error.URLError, OSError):
        return False


def _wait(child: subprocess.Popen[bytes], address: str, log: Path) -> None:
    began = time.monotonic()
    while time.monotonic() - began < START_SECONDS and child.poll() is None:
        if answers(address):
            return
        time.sleep(0.2)
    raise ServerError(f"its server did not start; why is in {log}.")
