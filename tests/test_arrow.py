import os
import platform
import subprocess
import sys

import pytest

CODE = """
import sys
BEFORE
import pyarrow as pa
import pyarrow.parquet as pq
from pipeline.arrow import leave_pandas_out
leave_pandas_out()
table = pa.Table.from_pylist([{"a": 1, "b": "x"}, {"a": None, "b": "y"}])
assert pa.array([1.5, None]).null_count == 1
print("pandas" in sys.modules)
frame = table.to_pandas()
assert frame["b"].tolist() == ["x", "y"]
assert pa.Table.from_pandas(frame).column("b").to_pylist() == ["x", "y"]
import pandas
assert pa.array(pandas.Series([1, 2])).to_pylist() == [1, 2]
"""


def said(before):
    done = subprocess.run([sys.executable, "-c", CODE.replace("BEFORE", before)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_arrays_are_made_without_pandas_and_who_asks_for_it_gets_it():
    assert said("") == "False"


def test_a_process_that_has_pandas_keeps_it():
    assert said("import pandas") == "True"


FREES = """
from pathlib import Path
import pyarrow as pa
from pipeline.arrow import give_memory_back
def mib():
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024
arrays = [pa.array([b"x" * 10_000]) for _ in range(5000)]
del arrays[1::2], arrays[:-1]  # the last one lies behind all the others
before = mib()
give_memory_back()
print(before - mib())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other systems give back by themselves, or not at all")
def test_what_is_free_goes_back_to_the_system():
    done = subprocess.run(
        [sys.executable, "-c", FREES],
        env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 30
