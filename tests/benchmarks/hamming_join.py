"""All pairs of 64-bit hashes within a distance: gesso's kernel against faiss, which compares all with all.

python tests/benchmarks/hamming_join.py [--count N] [--peer-count N] [--distance 8] [--peers PYTHON] [--record]

Random hashes, then the same number with 2 % of them within 4 bits of one (`skew`), each in a process of its own that
counts the pairs and holds none. The peer (BinaryFlat's range search) and the kernel do a smaller number in turns,
medians of three; both have to find the same number of pairs. At 3 bits the kernel does a tenth of the hashes and all of
them, to show how its time grows. Times are of the clock and of the CPU, for a machine that
is shared; the first one of each process includes its start-up of threads, not of Python.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
THREADS = os.cpu_count() or 1


def hashes(count: int, skew: float) -> Any:
    """Random ones, a share of which differs from one hash in up to 4 bits; distinct, ascending."""
    rng = np.random.default_rng(0)
    found = rng.integers(0, 2**64, count, dtype=np.uint64)
    near = int(count * skew)
    found[:near] = found[0]
    for _ in range(4 if near else 0):
        found[:near] ^= np.uint64(1) << rng.integers(0, 64, near).astype(np.uint64)
    return np.unique(found)


def by_kernel(values: Any, distance: int) -> int:
    """How many pairs the kernel finds."""
    from pipeline.dedup import hamming

    return sum(len(found.distance) for found in hamming.near(values, distance, threads=THREADS))


def by_faiss(values: Any, distance: int) -> int:
    """How many pairs faiss finds; it tells each from both sides, and each hash with itself."""
    import faiss

    faiss.omp_set_num_threads(THREADS)
    index = faiss.IndexBinaryFlat(64)
    packed = values.view(np.uint8).reshape(-1, 8)
    index.add(packed)
    limits, _, _ = index.range_search(packed, distance + 1)
    return (int(limits[-1]) - len(values)) // 2


def one(way: Callable[[Any, int], int], count: int, distance: int, skew: float) -> dict[str, float]:
    """Pairs, seconds of the clock and of the CPU, and the process's peak."""
    values = hashes(count, skew)
    began, used = time.perf_counter(), time.process_time()
    pairs = way(values, distance)
    return {
        "pairs": pairs,
        "seconds": round(time.perf_counter() - began, 3),
        "cpu_seconds": round(time.process_time() - used, 3),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def apart(python: Path, *words: str) -> dict[str, Any]:
    """The same in a process of its own."""
    command = [str(python), __file__, *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure, print one JSON object, and with --record append it to the kept records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000, help="hashes for the kernel alone")
    parser.add_argument("--peer-count", type=int, default=100_000, help="hashes for both")
    parser.add_argument("--distance", type=int, default=8, help="bits")
    parser.add_argument(
        "--peers", type=Path, default=ROOT / ".benchmarks" / "bin" / "python", help="Python that has faiss"
    )
    parser.add_argument("--one", nargs=3, metavar=("WAY", "COUNT", "SKEW"), help="measure this alone, in this process")
    parser.add_argument("--record", action="store_true", help="append to reports/benchmarks/hamming_join.jsonl")
    asked = parser.parse_args()
    if asked.one:
        way = {"kernel": by_kernel, "faiss": by_faiss}[asked.one[0]]
        print(json.dumps(one(way, int(asked.one[1]), asked.distance, float(asked.one[2]))))  # noqa: T201
        return
    if not asked.peers.exists():
        parser.error(f"{asked.peers} is not there: `make .benchmarks/.installed` makes it")
    told = ["--distance", str(asked.distance), "--one"]
    python = Path(sys.executable)
    rounds: dict[str, list[dict[str, Any]]] = {"kernel": [], "faiss": []}
    for _ in range(3):
        rounds["kernel"].append(apart(python, *told, "kernel", str(asked.peer_count), "0"))
        rounds["faiss"].append(apart(asked.peers, *told, "faiss", str(asked.peer_count), "0"))
    if len({one["pairs"] for some in rounds.values() for one in some}) != 1:
        raise SystemExit(f"they do not find the same pairs: {rounds}")
    median = {
        name: {figure: statistics.median(one[figure] for one in some) for figure in ("seconds", "cpu_seconds")}
        for name, some in rounds.items()
    }
    random = apart(python, *told, "kernel", str(asked.count), "0")
    skewed = apart(python, *told, "kernel", str(asked.count), "0.02")
    at_3 = {
        count: [apart(python, "--distance", "3", "--one", "kernel", str(count), "0") for _ in range(3)]
        for count in (asked.count // 10, asked.count)
    }
    small, large = (statistics.median(one["cpu_seconds"] for one in some) for some in at_3.values())
    found = {
        "name": "hamming_join",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "ratio_to_faiss": round(median["faiss"]["seconds"] / max(median["kernel"]["seconds"], 0.01), 1),
        "ratio_to_faiss_cpu": round(median["faiss"]["cpu_seconds"] / max(median["kernel"]["cpu_seconds"], 0.01), 1),
        "seconds_1m": random["seconds"],
        "cpu_seconds_1m": random["cpu_seconds"],
        "peak_mib": random["peak_mib"],
        "skew_ratio_cpu": round(skewed["cpu_seconds"] / random["cpu_seconds"], 2),
        "skew_ratio": round(skewed["seconds"] / random["seconds"], 2),
        "growth_at_3_cpu": round(large / small, 1),
        "at_3": at_3,
        "random": random,
        "skewed": skewed,
        "count": asked.count,
        "peer_count": asked.peer_count,
        "distance": asked.distance,
        "at_peer_count": median,
        "load_average": os.getloadavg()[0],
        "command": " ".join(["python", "tests/benchmarks/hamming_join.py", *sys.argv[1:]]),
        "versions": {name: metadata.version(name) for name in ("numpy", "gesso")} | {"faiss-cpu": "1.15.1"},
        "machine": f"{platform.machine()}, {THREADS} cores",
    }
    line = json.dumps(found)
    print(line)  # noqa: T201 (the benchmark's result)
    if asked.record:
        with (ROOT / "reports" / "benchmarks" / "hamming_join.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
