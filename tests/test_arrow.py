import subprocess
import sys

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
