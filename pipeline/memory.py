"""The highest resident memory of this process, piece by piece."""

import resource
import sys
from pathlib import Path

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


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
