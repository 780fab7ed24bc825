"""Beside the steps: how well texts tell of pictures, by CLIP or BLIP's matching head; people see the worst first."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from pipeline import imaging
from pipeline.errors import PictureError
from pipeline.manifest import Row, table_of
from pipeline.model_files import locate, weights_hash
from pipeline.run import Run
from pipeline.stage import Tools, ensure

SHARD = 64
FITS = pa.schema([("sample_id", pa.string()), ("fit", pa.float64())])


class Params(BaseModel):
    """Nothing but the model, whose weights' hash tells of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(exclude=True, description="what compares: starter, a folder or a hub id")
    revision: str | None = Field(None, exclude=True, description="commit of the hub model")
    field: str = Field(exclude=True, description="where the recipe names it")


class Fit:
    """The stage: 100 x cosine of a picture and a text (`body`). A picture is decoded once for all its texts."""

    __name__ = "fit"
    VERSION = 2
    KEY: tuple[str, ...] = ("pixel_id",)
    READS: tuple[str, ...] = ("body",)
    ADDS = pa.schema([pa.field("fit__clip", pa.float64(), metadata={b"description": b"100 x cosine, 0 to 100"})])

    def run(self, rows: Sequence[Row], params: Params, tools: Tools) -> Sequence[Mapping[str, Any]]:
        """Compare a shard; a picture that cannot be decoded is a row with an error."""
        looks: dict[str, Row] = {}
        for row in rows:
            if row["sample_id"] not in looks:
                looks[row["sample_id"]] = _look(row["sample_id"], tools)
        seen = [looks[row["sample_id"]] for row in rows]
        there = [place for place, look in enumerate(seen) if "error" not in look]
        values = self.scores(
            [seen[one]["pixels"] for one in there], [rows[one]["body"] for one in there], params, tools
        )
        found = dict(zip(there, values, strict=True))
        (column,) = self.ADDS.names
        return [look if "error" in look else {column: found[place]} for place, look in enumerate(seen)]

    def scores(self, pictures: Sequence[Any], texts: Sequence[str], params: Params, tools: Tools) -> list[float]:
        """A number for each picture and the text beside it."""
        from pipeline.matching.clip import Clip

        clip = Clip(params.model, revision=params.revision, device=tools.device, field=params.field)
        return clip.scores(pictures, texts)


class Match(Fit):
    """The same by BLIP's matching head: how sure it is, 0 to 100."""

    __name__ = "match"
    VERSION = 1
    ADDS = pa.schema([pa.field("match__itm", pa.float64(), metadata={b"description": b"how sure it is, 0 to 100"})])

    def scores(self, pictures: Sequence[Any], texts: Sequence[str], params: Params, tools: Tools) -> list[float]:
        """A number for each picture and the text beside it."""
        from pipeline.matching.itm import Matcher

        matcher = Matcher(params.model, revision=params.revision, device=tools.device, field=params.field)
        return matcher.scores(pictures, texts)


def measure(run: Run, tools: Tools) -> int:
    """Save the table `fits` of the run: a value for each picture that has a caption; how many there are.

    Only what was not measured before is, with the recipe's `caption.clip`.

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
    made = [
        {"sample_id": row["sample_id"], "fit": value}
        for row, value in zip(rows, by_clip(run, rows, tools), strict=True)
        if value is not None
    ]
    run.save("fits", table_of(made, FITS))
    return len(made)


def by_clip(run: Run, rows: Sequence[Row], tools: Tools) -> list[float | None]:
    """100 x cosine for each row (`sample_id`, `pixel_id`, `body`); None where its picture cannot be decoded."""
    own = run.recipe.caption.clip
    field = "evaluate.clip" if own is None else "caption.clip"
    params = Params(model=own or run.recipe.evaluate.clip, field=field)
    return _scores(Fit(), rows, params, tools, weights_hash(locate(params.model, part="open_clip", field=field)))


def by_match(run: Run, rows: Sequence[Row], tools: Tools) -> list[float | None]:
    """How sure `caption.matcher` is of each row, 0 to 100; None where its picture cannot be decoded."""
    params = Params(model=str(run.recipe.caption.matcher), field="caption.matcher")
    return _scores(Match(), rows, params, tools, weights_hash(locate(params.model, part="blip", field=params.field)))


def _scores(stage: Fit, rows: Sequence[Row], params: Params, tools: Tools, weights: str) -> list[float | None]:
    stored = ensure(stage, rows, params, tools, weights=weights, shard=SHARD)
    found: list[float | None] = stored.table()[stage.ADDS.names[0]].to_pylist()
    return found


def _look(sample_id: str, tools: Tools) -> Row:
    try:
        # the proxy: these models look at 224 to 384 pixels
        return {"pixels": imaging.decode(tools.read(sample_id)).proxy}
    except PictureError as error:
        return {"error": str(error)}
