"""What a file itself says against being trained on, read from its bytes without decoding it.

XMP: the PLUS property DataMining, which IPTC's Photo Metadata Standard took over in 2023. Its values are a vocabulary
(http://ns.useplus.org/ldf/vocab/DMI-...); all that begin with DMI-PROHIBITED object, also those that forbid only some
training, or refer to conditions that nobody has read. C2PA and CAWG: the assertion training-mining whose entries for
training or data mining are `notAllowed` or `constrained`.

Not read: XMP of JPEG that is parted over several segments, since the property stands in the first one.
"""

import binascii
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pyarrow as pa
from pydantic import BaseModel

from pipeline.manifest import Row
from pipeline.stage import Tools

VERSION = 2
KEY: tuple[str, ...] = ("sample_id",)
READS: tuple[str, ...] = ()
SHARD = 4096
ADDS = pa.schema(
    [pa.field("optouts__said", pa.string(), metadata={b"description": b"the objection in the file; null is none"})]
)
_PLUS = re.compile(rb"DMI-PROHIBITED[A-Z-]*")
_C2PA = re.compile(
    rb"(?:c2pa|cawg)\.(?:ai_training|ai_generative_training|data_mining).{0,4}cuse.(?:notAllowed|constrained)", re.S
)
_PROFILE = re.compile(rb"\n(?:xmp|exif|iptc|generic|8bim|app1)\s+\d+\n", re.I)
"""What stands before a profile in hex."""
_PNG = b"\x89PNG\r\n\x1a\n"
LONGEST = 4 * 2**20
"""Bytes of a compressed text of a PNG that are looked at once unpacked."""


class Params(BaseModel, frozen=True, extra="forbid"):
    """None: what a file says does not depend on who asks."""


def run(rows: Sequence[Row], params: Params, tools: Tools) -> list[Mapping[str, str | None]]:  # noqa: ARG001
    """What each file says."""
    with ThreadPoolExecutor(tools.workers) as pool:
        said = pool.map(lambda row: objection(tools.read(row["sample_id"])), rows)
        return [{"optouts__said": one} for one in said]


def objection(data: bytes) -> str | None:
    """The objection to training that stands in a file, in a few words; None where there is none."""
    for text in (data, *_unpacked(data)):
        if found := _PLUS.search(text):
            return f"IPTC/PLUS DataMining: {found[0].decode('ascii')}"
        if _C2PA.search(text):
            return "C2PA training-mining"
    return None


def _unpacked(data: bytes) -> Iterator[bytes]:
    """The texts of a PNG that are compressed, and the profiles that ImageMagick writes in hex."""
    place = len(_PNG)
    while data.startswith(_PNG) and place + 12 <= len(data):
        size, kind = int.from_bytes(data[place : place + 4]), data[place + 4 : place + 8]
        if kind in (b"iTXt", b"zTXt", b"tEXt"):
            text = _text(kind, data[place + 8 : place + 8 + size])
            yield text
            if found := _PROFILE.match(text):
                with suppress(ValueError):
                    yield binascii.unhexlify(text[found.end() :].translate(None, b" \r\n\t"))
        place += 12 + size


def _text(kind: bytes, chunk: bytes) -> bytes:
    """What stands in a text chunk of a PNG (W3C's PNG specification, 11.3.3); empty where nothing can be made of it."""
    _, _, rest = chunk.partition(b"\0")
    if kind == b"tEXt":
        return rest
    packed = rest[1:]
    if kind == b"iTXt":
        if not rest.startswith(b"\1"):
            return b""  # it is read as it stands
        packed = rest[2:].split(b"\0", 2)[-1]
    with suppress(zlib.error):
        return zlib.decompressobj().decompress(packed, LONGEST)
    return b""
