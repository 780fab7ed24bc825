"""Beside the steps: how well each proposed caption tells of its picture, by CLIP; people see the worst first."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from pipeline import imaging
from pipeline.errors import PictureError
from pipeline.manifest import Row, table_of
from pipeline.metrics import clip_score
from pipeline.models import locate, weights_hash
from pipeline.run import Run
from pipeline.stage import Tools, ensure

SHARD = 64
FITS = pa.schema([("sample_id", pa.string()), ("fit", pa.float64())])


class Params(BaseModel):
    """Nothing but the model, whose weights' hash tells of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clip: str = Field(exclude=True, description="CLIP that compares: starter, a folder or a hub id")


class Fit:
    """The stage: 100 x cosine of a picture and its caption's body. A picture is decoded once for it."""

    __name__ = "fit"
    VERSION = 1
    KEY: tuple[str, ...] = ("pixel_id",)
    READS: tuple[str, ...] = ("body",)
    ADDS = pa.schema([pa.field("fit__clip", pa.float64(), metadata={b"description": b"100 x cosine, 0 to 100"})])

    def run(self, rows: Sequence[Row], params: Params, tools: Tools) -> Sequence[Mapping[str, Any]]:
        """Compare a shard; a picture that cannot be decoded is a row with an error."""
        seen = [_look(row, tools) for row in rows]
        there = [row for row in seen if "error" not in row]
        values = iter(
            clip_score.measure(
                [row["pixels"] for row in there], [row["body"] for row in there], clip=params.clip, device=tools.device
            )
        )
        return [{"error": row["error"]} if "error" in row else {"fit__clip": next(values)} for row in seen]


def measure(run: Run, tools: Tools) -> int:
    """Save the table `fits` of the run: a value for each picture that has a caption; how many there are.

    Only what was not measured before is, with the CLIP of the recipe's `evaluate`.

    Raises:
        ModelError: the CLIP is not there and cannot be had.
    """
    names = ("sample_id", "pixel_id")
    pixels = {row["sample_id"]: row["pixel_id"] for name in ("kept", "dropped") for row in run.rows(name, names)}
    rows: list[Row] = [
        {"sample_id": row["sample_id"], "pixel_id": pixels[row["sample_id"]], "body": row["body"]}
        for row in run.rows("captions", ("sample_id", "body"))
        if row["body"].strip()
    ]
    clip = run.recipe.evaluate.clip
    weights = weights_hash(locate(clip, part="clip", field="evaluate.clip"))
    stored = ensure(Fit(), rows, Params(clip=clip), tools, weights=weights, shard=SHARD)
    made = [
        {"sample_id": row["sample_id"], "fit": said["fit__clip"]}
        for row, said in zip(rows, stored.table().to_pylist(), strict=True)
        if said["fit__clip"] is not None
    ]
    run.save("fits", table_of(made, FITS))
    return len(made)


def _look(row: Row, tools: Tools) -> Row:
    try:
        # the proxy: CLIP looks at 224 pixels
        return {**row, "pixels": imaging.decode(tools.read(row["sample_id"])).proxy}
    except PictureError as error:
        return {**row, "error": str(error)}
