"""How well the caption that came with a picture tells of it, by CLIP (CLIPScore of Hessel et al. 2021, unscaled).

For sets that were scraped, whose texts are often about something else: LAION-5B kept English pairs from 28 on by
ViT-B/32 (Schuhmann et al. 2022, section 3). Models differ in where right captions lie (99 % of the starter's above 82,
99 % of wrong ones below 71), so there is no default limit: set one for the model, such as `rules:
{caption_match__score: {min: 28}}`, and see by `gesso select --what-if` whom it takes. Captions that machines write are
compared later, see `caption.fit`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, Field

from pipeline.judges import _pictures
from pipeline.manifest import Row
from pipeline.model_files import locate, weights_hash
from pipeline.stage import Tools

VERSION = 1
KEY: tuple[str, ...] = ("sample_id",)
READS: tuple[str, ...] = ("sidecar",)
ADDS = pa.schema(
    [
        pa.field(
            "caption_match__score",
            pa.float32(),
            metadata={b"description": b"100 x cosine of picture and its own caption, 0 to 100; 100 where it has none"},
        )
    ]
)
LIMITS: dict[str, dict[str, float]] = {}
NONE = 100.0
"""Of a picture without a caption, which cannot be wrong."""
FIELD = "judges.caption_match.model"


class Params(BaseModel, frozen=True, extra="forbid"):
    """Which CLIP compares. Its weights are known by their hash, so another name of it changes nothing."""

    model: str = Field("starter", exclude=True, description="CLIP: starter, a folder or a hub id, of open_clip")
    revision: str | None = Field(None, exclude=True, description="commit of the hub model")


def weights(params: Params) -> str:
    """Hash of the CLIP's weights.

    Raises:
        ModelError: it is not there and cannot be had.
    """
    return weights_hash(locate(params.model, params.revision, part="open_clip", field=FIELD))


def run(rows: Sequence[Row], params: Params, tools: Tools) -> Sequence[Mapping[str, Any]]:
    """The score of each picture.

    Raises:
        ModelError: the CLIP is not there and cannot be had.
    """
    told = [row for row in rows if row["sidecar"]]
    found: Sequence[Mapping[str, Any]] = []
    if told:
        from pipeline.matching.clip import Clip  # takes seconds, which a run that finds all measured does not pay

        clip = Clip(params.model, revision=params.revision, device=tools.device, field=FIELD)
        found = _pictures.answers(told, "caption_match__score", clip.scores, tools, texts="sidecar")
    answers = iter(found)
    return [next(answers) if row["sidecar"] else {"caption_match__score": NONE} for row in rows]
