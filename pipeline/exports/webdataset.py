"""webdataset's tar shards: of each picture its bytes, its caption as .txt, and all else as .json."""

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.exports._picture import ENDINGS, SPLITS, Picture, Progress, Read, by_split, in_lots, metadata

DESCRIPTION = "tar shards of pictures with .txt and .json, for webdataset"
FILES = {split: (f"{split}-*.tar",) for split in SPLITS.values()}
SHARD_BYTES = 512 * 2**20
"""A shard is closed when it has this many bytes of pictures."""


def write(pictures: Sequence[Picture], folder: Path, read: Read, progress: Progress) -> None:
    """Write the shards of each split; equal pictures make equal shards."""
    done = 0
    for split, some in by_split(pictures):
        for number, lot in enumerate(in_lots(some, SHARD_BYTES)):
            with tarfile.open(folder / f"{split}-{number:06}.tar", "w", format=tarfile.PAX_FORMAT) as shard:
                for one in lot:
                    for name, data in _members(one, read):
                        member = tarfile.TarInfo(name)
                        member.size, member.mode = len(data), 0o644
                        shard.addfile(member, io.BytesIO(data))
                    done += 1
                    progress(done, len(pictures))


def _members(one: Picture, read: Read) -> Iterator[tuple[str, bytes]]:
    yield f"{one.stem}{ENDINGS[one.format]}", read(one.sample_id)
    if one.mask:
        yield f"{one.stem}.mask.png", read(one.mask)
    yield f"{one.stem}.txt", one.caption.encode()
    yield f"{one.stem}.json", json.dumps(metadata(one), ensure_ascii=False).encode()
