"""Parquet shards with the pictures in them, as Hugging Face's `datasets` writes and reads them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.exports._picture import SPLITS, Picture, Progress, Read, by_split, in_lots, kinds, metadata

DESCRIPTION = "Parquet shards with the pictures in them, for load_dataset('parquet')"
FILES = {split: (f"data/{split}-*.parquet",) for split in SPLITS.values()}
SHARD_BYTES = 512 * 2**20
"""A shard is closed when it has this many bytes of pictures."""
GROUP_BYTES = 16 * 2**20
"""Bytes of a row group: what a reader holds to see one picture."""
_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write(pictures: Sequence[Picture], folder: Path, read: Read, progress: Progress) -> None:
    """Write the shards of each split, with the features in their schema, so that pictures are seen as pictures."""
    (folder / "data").mkdir()
    done = 0
    for split, some in by_split(pictures):
        lots, schema = list(in_lots(some, SHARD_BYTES)), _schema(some)
        for number, lot in enumerate(lots):
            path = folder / "data" / f"{split}-{number:05}-of-{len(lots):05}.parquet"
            with pq.ParquetWriter(path, schema, compression="none") as file:
                for group in in_lots(lot, GROUP_BYTES):
                    file.write_table(pa.Table.from_pylist([_row(one, read) for one in group], schema=schema))
                    done += len(group)
                    progress(done, len(pictures))


def _row(one: Picture, read: Read) -> dict[str, Any]:
    return {
        "image": {"bytes": read(one.sample_id), "path": one.name},
        "mask": {"bytes": read(one.mask), "path": one.mask_name} if one.mask else None,
        **metadata(one),
    }


def _schema(pictures: Sequence[Picture]) -> pa.Schema:
    columns = kinds(pictures)
    features = {
        "image": {"_type": "Image"},
        "mask": {"_type": "Image"},
        **{name: {"dtype": kind, "_type": "Value"} for name, kind in columns},
    }
    fields = [("image", _IMAGE), ("mask", _IMAGE), *((name, getattr(pa, kind)()) for name, kind in columns)]
    return pa.schema(fields, metadata={"huggingface": json.dumps({"info": {"features": features}})})
