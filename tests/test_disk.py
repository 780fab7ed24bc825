import errno
import subprocess
import sys

import pytest

from pipeline import disk
from pipeline.errors import DiskError


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO])
def test_what_the_disk_refuses_names_the_file_and_what_to_do(tmp_path, number):
    told = disk.explained(OSError(number, "as the system words it", str(tmp_path / "file")), tmp_path)
    assert isinstance(told, DiskError)
    assert told.exit_code == 1
    assert str(told).startswith(f"{tmp_path / 'file'}: ")
    assert str(told).endswith("then run the same command again; what was done is kept.")


def test_a_full_disk_tells_how_much_is_free(tmp_path):
    assert "MiB free" in str(disk.explained(OSError(errno.ENOSPC, "full"), tmp_path))
    assert str(tmp_path) in str(disk.explained(OSError(errno.ENOSPC, "full"), tmp_path))


def test_a_folder_that_went_away_is_told_and_other_missing_files_are_not(tmp_path):
    missing = FileNotFoundError(errno.ENOENT, "missing", str(tmp_path / "w" / "a"))
    assert "this folder is gone" in str(disk.explained(missing, tmp_path / "w"))
    assert disk.explained(missing, tmp_path) is None


@pytest.mark.parametrize("error", [ValueError("os"), OSError("no number"), RuntimeError("error 28")])
def test_a_bug_is_not_taken_for_the_disk(tmp_path, error):
    assert disk.explained(error, tmp_path) is None


WRITERS = {
    "bytes": "write_bytes(root / 'x', bytes(2**20))",
    "parquet": "write_table(root / 'x', pa.table({'a': os.urandom(2**20).hex().split('0')}))",
    "torch": "checkpoints.write(root, 1, weights=lambda _: None, state={'a': torch.rand(2**18)}, identity={}, keep=1)",
    "safetensors": "checkpoints.commit(root / 'x', lambda to: save_file({'a': torch.rand(2**18)}, to / 'a'))",
}


def test_each_writer_says_by_its_error_that_a_file_may_not_grow(tmp_path):
    # the limit stands in for a full disk, which needs a disk of one's own; see tests/durability for that
    code = f"""
import os, resource, signal, sys
from pathlib import Path
import pyarrow as pa, torch
from safetensors.torch import save_file
from pipeline import disk
from pipeline.training import checkpoints
from pipeline.workspace import write_bytes, write_table
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
root = Path(sys.argv[1])
for name, code in {WRITERS!r}.items():
    try:
        exec(code)
    except Exception as error:
        print(name, disk.explained(error, root))
    else:
        print(name, "was written")
print(sorted(str(path.relative_to(root)) for path in root.rglob('*')))
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    *said, left = done.stdout.splitlines()
    assert [line.split(" ", 1)[0] for line in said] == list(WRITERS)
    assert all("allows no file as large" in line for line in said), done.stdout
    assert left == "['checkpoints']"
