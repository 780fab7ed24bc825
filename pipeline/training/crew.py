"""Processes that were started together to train one model: the first does a run's steps, the others wait for its call.

torchrun, accelerate's launcher, mpirun and `gesso train --processes` tell each process its place by the environment.
They meet at a store of torch's, which the first one (or torchrun) keeps, and become a `Team` for as long as a training
lasts. One that fails says so there, so that the first tells of it, once.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any

from pipeline.errors import GessoError

NAMES = (
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
)
"""Variables with a process's rank, how many there are, and its rank on this machine: torch's, Open MPI's, Intel's."""
ADDRESS, PORT, KEPT = "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_USE_AGENT_STORE"
MEETING = timedelta(minutes=10)
"""Until when all have to be there."""
STEP = timedelta(days=1)
"""Longest wait within a training: for the first process, which evaluates. One that ends is noticed at once."""
PAUSE = 0.2
"""Seconds between two looks at the store."""
PATIENCE = 3.0
"""Seconds that the first process listens for what another has to say, once a connection is lost or all is done."""
FAILED, END = "failed", ""

_leads: list["Crew"] = []  # a process leads one crew at most


@dataclass(frozen=True)
class Place:
    """Where a process stands among those that were started together."""

    rank: int
    processes: int
    local: int
    """Its rank on this machine, by which it takes a GPU."""
    address: str
    port: int
    kept: bool
    """Whether torchrun keeps the store."""


def enlist(environment: dict[str, str] | os._Environ[str] = os.environ) -> Place | None:
    """This process's place, taken out of the environment, so that no library acts on it by itself; None if alone."""
    for rank, processes, local in NAMES:
        if int(environment.get(processes, 1)) < 2 or rank not in environment:
            continue
        found = Place(
            int(environment[rank]),
            int(environment[processes]),
            int(environment.get(local, environment[rank])),
            environment.get(ADDRESS, "127.0.0.1"),
            int(environment.get(PORT, 29500)),
            kept=environment.get(KEPT) == "True",
        )
        for name in (rank, processes, local, ADDRESS, PORT):
            environment.pop(name, None)
        return found
    return None


def training(word: Mapping[str, Any], *, gpu: bool) -> AbstractContextManager[None]:
    """Within the context the others, if this process leads any, train what `word` tells of; see `Crew.training`."""
    return _leads[-1].training(word, gpu=gpu) if _leads else nullcontext()


class Crew:
    """This process's part: the first one calls the others to a training, the others `follow`."""

    def __init__(self, place: Place, *, alive: Callable[[], str] = lambda: "") -> None:
        """Meet at the store. `alive` says which of the others has ended, "" where none has.

        Raises:
            GessoError: the first one is not to be found, or its port is another program's.
        """
        distributed: Any = import_module("torch.distributed")  # its types leave stores out

        self.place, self._alive, self._calls = place, alive, 0
        leads = place.rank == 0
        try:
            self._store = distributed.TCPStore(
                place.address,
                place.port,
                place.processes,
                is_master=leads and not place.kept,
                timeout=MEETING,
                wait_for_workers=False,
            )
        except RuntimeError as error:
            raise GessoError(
                f"the {place.processes} processes of this training cannot meet at {place.address}:{place.port} "
                f"({str(error).partition(chr(10))[0]}). Next: see that the first one runs and that no other program "
                f"has its port; {PORT} names another."
            ) from error

    @contextmanager
    def training(self, word: Mapping[str, Any], *, gpu: bool) -> Iterator[None]:
        """Within the block the others train what `word` tells them of, and torch's process group is theirs and ours.

        Raises:
            GessoError: one of them failed, or has ended.
        """
        number, self._calls = self._calls, self._calls + 1
        self._store.set(f"call/{number}", json.dumps(dict(word)))
        others = [f"ready/{number}/{rank}" for rank in range(1, self.place.processes)]
        until = time.monotonic() + MEETING.total_seconds()
        while not self._store.check(others):
            self._refuse("did not come" if time.monotonic() > until else self._alive())
            time.sleep(PAUSE)
        try:
            with self._group(number, gpu=gpu):
                try:
                    yield
                except BaseException as error:
                    if _may_be_anothers(error):
                        self._listen([FAILED])
                    with suppress(RuntimeError):
                        self._store.set(f"left/{number}", "1")
                    raise
        except RuntimeError as error:
            # gloo's own words on a connection that was lost say nothing of why
            self._refuse(str(error) if _may_be_anothers(error) else "")
            raise

    @contextmanager
    def leading(self) -> Iterator[None]:
        """Within the block trainings of this process are the crew's; at its end the others are let go."""
        _leads.append(self)
        try:
            yield
        finally:
            _leads.remove(self)
            with suppress(RuntimeError):
                self._store.set(f"call/{self._calls}", END)
                # the store goes with this process, and torch warns whoever asks it then
                if not self._store.check([FAILED]):
                    self._listen([f"gone/{rank}" for rank in range(1, self.place.processes)])

    def follow(self, train: Callable[[Mapping[str, Any], Callable[..., Any]], None]) -> None:
        """Wait for calls, and `train` at each, until the first process ends.

        `train` gets the word, and a context to train in, once told whether on a GPU.
        """
        while True:
            word = self._heard()
            if word == END:
                return
            number, self._calls = self._calls, self._calls + 1

            def ready(*, gpu: bool, number: int = number) -> AbstractContextManager[None]:
                self._store.set(f"ready/{number}/{self.place.rank}", "1")
                return self._group(number, gpu=gpu)

            try:
                train(json.loads(word), ready)
            except Exception as error:
                with suppress(RuntimeError):
                    if self._store.check([f"left/{number}"]):
                        continue
                    self._store.set(FAILED, f"process {self.place.rank}: {error or type(error).__name__}")
                raise

    def _heard(self) -> str:
        try:
            while not self._store.check([f"call/{self._calls}"]):
                time.sleep(PAUSE)  # not a blocking look, which no signal would end
            word = str(self._store.get(f"call/{self._calls}").decode())
            if word == END:
                self._store.set(f"gone/{self.place.rank}", "1")
        except RuntimeError:  # the store went with the first process
            return END
        return word

    def _listen(self, keys: list[str]) -> None:
        """Wait until these stand in the store, for as long as anybody may still write them."""
        until = time.monotonic() + PATIENCE
        with suppress(RuntimeError):
            while time.monotonic() < until and not self._store.check(keys) and not self._alive():
                time.sleep(PAUSE)

    @contextmanager
    def _group(self, number: int, *, gpu: bool) -> Iterator[None]:
        import torch

        distributed: Any = import_module("torch.distributed")

        place = self.place
        threads = torch.get_num_threads()
        if gpu:
            if place.local >= torch.cuda.device_count():
                raise GessoError(
                    f"{place.processes} processes need a GPU each, and this machine has {torch.cuda.device_count()}"
                )
            torch.cuda.set_device(place.local)
        elif "OMP_NUM_THREADS" not in os.environ:
            torch.set_num_threads(max(1, threads // place.processes))
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if gpu else "gloo",
            store=distributed.PrefixStore(f"group/{number}", self._store),
            rank=place.rank,
            world_size=place.processes,
            timeout=STEP,
        )
        try:
            yield
        finally:
            distributed.destroy_process_group()
            torch.set_num_threads(threads)

    def _refuse(self, why: str) -> None:
        """Raise GessoError with what another process said before it ended, or else `why`, where there is a reason."""
        with suppress(RuntimeError):
            if self._store.check([FAILED]):
                why = self._store.get(FAILED).decode()
        if why:
            raise GessoError(f"the {self.place.processes} processes of this training ended: {why}")


def _may_be_anothers(error: BaseException) -> bool:
    """Whether a lost connection may be what ended this process's part: torch has no kind of its own for it."""
    from pipeline.training.parts import out_of_memory

    return isinstance(error, RuntimeError) and not out_of_memory(error)
