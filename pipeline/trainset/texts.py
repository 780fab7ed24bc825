"""Stage: what the text encoders make of every caption, keyed by the caption itself."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, Field

from pipeline.manifest import Row
from pipeline.stage import Tools

VERSION = 1
KEY = ("caption",)
READS = ()
BATCH = 32
ADDS = pa.schema(
    [
        pa.field("texts__embedding", pa.binary(), metadata={b"description": b"tokens x width float32, C order"}),
        pa.field("texts__tokens", pa.int32(), metadata={b"description": b"tokens, padding counted: 77 for CLIP"}),
        pa.field("texts__width", pa.int32(), metadata={b"description": b"numbers a token"}),
        pa.field("texts__used", pa.int32(), metadata={b"description": b"tokens of the caption itself, uncut"}),
        pa.field("texts__pooled", pa.binary(), metadata={b"description": b"float32: the summary, where there is one"}),
    ]
)


class Params(BaseModel, frozen=True, extra="forbid"):
    """What decides the embeddings beside the weights."""

    base: str = Field("starter", exclude=True, description="the model whose text encoders read; known by their hash")
    revision: str | None = Field(None, exclude=True, description="commit of the hub model")


def run(rows: Sequence[Row], params: Params, tools: Tools) -> Sequence[Mapping[str, Any]]:
    """Encode the rows' captions, padded and cut to the tokenizer's length."""
    from pipeline.trainset import encoders  # imports torch

    encode = encoders.captions(params.base, revision=params.revision, device=tools.device)
    made = []
    for start in range(0, len(rows), BATCH):
        found = encode([row["caption"] for row in rows[start : start + BATCH]])
        pooled = [None] * len(found.hidden) if found.pooled is None else [one.tobytes() for one in found.pooled]
        for one, count, summary in zip(found.hidden, found.used, pooled, strict=True):
            made.append(
                {
                    "texts__embedding": np.ascontiguousarray(one).tobytes(),
                    "texts__tokens": one.shape[0],
                    "texts__width": one.shape[1],
                    "texts__used": count,
                    "texts__pooled": summary,
                }
            )
    return made
