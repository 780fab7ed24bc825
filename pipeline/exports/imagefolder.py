"""Hugging Face's imagefolder: a folder a split, with pictures and a metadata.parquet.

Not metadata.jsonl: there `datasets` takes a column that is empty in one split, or holds dates, for one of another type
than in the next, and refuses both.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from pipeline.exports._picture import SPLITS, Picture, Progress, Read, by_split, kinds, metadata
from pipeline.workspace import write_table

DESCRIPTION = "a folder a split with metadata.parquet, for load_dataset of Hugging Face's datasets"
FILES = {split: (f"{split}/**",) for split in SPLITS.values()}


def write(pictures: Sequence[Picture], folder: Path, read: Read, progress: Progress) -> None:
    """Write pictures, masks and metadata.parquet of each split."""
    done = 0
    for split, some in by_split(pictures):
        place, rows = folder / split, []
        place.mkdir()
        for one in some:
            (place / one.name).write_bytes(read(one.sample_id))
            if one.mask:
                (place / one.mask_name).write_bytes(read(one.mask))
            rows.append({"file_name": one.name, **metadata(one)})
            done += 1
            progress(done, len(pictures))
        schema = pa.schema([("file_name", pa.string()), *((name, getattr(pa, kind)()) for name, kind in kinds(some))])
        write_table(place / "metadata.parquet", pa.Table.from_pylist(rows, schema=schema))
