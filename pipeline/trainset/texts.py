"""Stage: the text encoder's last hidden state of every caption, keyed by the caption itself."""

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
    ]
)


class Params(BaseModel, frozen=True, extra="forbid"):
    """What decides the embeddings beside the weights."""

    base: str = Field("starter", exclude=True, description="the model whose text encoder reads; known by its hash")
    revision: str | None = Field(None, exclude=True, description="commit of the hub model")


def run(rows: Sequence[Row], params: Params, tools: Tools) -> Sequence[Mapping[str, Any]]:
    """Encode the rows' captions, padded and cut to the tokenizer's length."""
    from pipeline.trainset import encoders  # imports torch

    encode = encoders.captions(params.base, revision=params.revision, device=tools.device)
    made = []
    for start in range(0, len(rows), BATCH):
        hidden, used = encode([row["caption"] for row in rows[start : start + BATCH]])
        for one, count in zip(hidden, used, strict=True):
            made.append(
                {
                    "texts__embedding": np.ascontiguousarray(one).tobytes(),
                    "texts__tokens": one.shape[0],
                    "texts__width": one.shape[1],
                    "texts__used": count,
                }
            )
    return made
