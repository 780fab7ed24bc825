"""The highest resident memory of this process, piece by piece, and how much the machine has."""

import os
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_MEMINFO, _LIMIT = Path("/proc/meminfo"), Path("/sys/fs/cgroup/memory.max")


def peak_mib() -> float:
    """Highest resident memory since the last call, in MiB; where the system cannot forget it, since the beginning.

    Linux forgets the high-water mark (VmHWM) where a 5 is written to clear_refs (`man 5 proc`).
    """
    try:
        kib = next(line.split()[1] for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        _CLEAR.write_text("5")
    except (OSError, StopIteration):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / 2**20 if sys.platform == "darwin" else most / 2**10
    return int(kib) / 2**10


@dataclass(frozen=True)
class Room:
    """Bytes that a processor's memory has, and that are free in it now."""

    total: int
    free: int


def room(*, gpu: bool) -> Room | None:
    """Of the machine, or of its first NVIDIA GPU; None where that cannot be told.

    A limit of the container (cgroup v2) counts as the machine's. torch is not asked, which takes seconds to import.
    """
    if gpu:
        return _room_of_gpu()
    try:
        told = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines() if ":" in line)
        total, free = (int(told[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    except (OSError, KeyError, ValueError):
        try:
            total = free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError):
            return None
    limit = _LIMIT.read_text().strip() if _LIMIT.exists() else "max"
    total = min(total, int(limit)) if limit.isdecimal() else total
    return Room(total, min(total, free))


def gpu_there() -> bool:
    """Whether an NVIDIA GPU answers on this machine."""
    return _room_of_gpu() is not None


def _room_of_gpu() -> Room | None:
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    asked = [command, "--query-gpu=memory.total,memory.free", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True).stdout  # noqa: S603 (our own words)
        total, free = (int(one) * 2**20 for one in said.splitlines()[0].split(","))
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None
    return Room(total, free)
