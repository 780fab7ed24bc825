"""Step: propose a caption for every picture that is kept."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
from pydantic import BaseModel

from pipeline import imaging, plugins
from pipeline.errors import PictureError
from pipeline.manifest import Row, table_of
from pipeline.run import Run
from pipeline.stage import Tools, ensure
from pipeline.steps.measure import params_of

SHARD = 64
CAPTIONS = pa.schema(
    [
        ("sample_id", pa.string()),
        ("body", pa.string()),
        ("candidates", pa.list_(pa.string())),  # what else was proposed, best first
        ("source", pa.string()),  # sidecar, or the captioner with its model and revision
        ("error", pa.string()),
    ]
)
BODY = pa.schema([pa.field("caption__body", pa.string(), metadata={b"description": b"the proposed caption"})])
SEVERAL = BODY.append(
    pa.field("caption__others", pa.list_(pa.string()), metadata={b"description": b"what else was proposed, best first"})
)


class Captioning:
    """A captioner as a stage: its caption for the pixels of each picture, and so not for the file's metadata."""

    KEY: tuple[str, ...] = ("pixel_id",)

    def __init__(self, captioner: Any) -> None:  # noqa: ANN401 (a plug-in module)
        self.captioner = captioner
        self.ADDS = SEVERAL if hasattr(captioner, "propose") else BODY
        self.__name__ = f"caption.{captioner.__name__.rpartition('.')[2]}"
        self.VERSION: int = captioner.VERSION
        self.READS: tuple[str, ...] = captioner.READS

    def run(self, rows: Sequence[Row], params: BaseModel, tools: Tools) -> Sequence[Mapping[str, Any]]:
        """Caption a shard; pictures are decoded only for captioners that look at them."""
        if not self.captioner.LOOKS:
            return self._made(rows, params, tools)

        def look(row: Row) -> Row:
            try:
                return {**row, "pixels": imaging.decode(tools.read(row["sample_id"])).pixels}
            except PictureError as error:
                return {**row, "error": str(error)}

        with ThreadPoolExecutor(tools.workers) as pool:
            seen = list(pool.map(look, rows))
        made = iter(self._made([row for row in seen if "error" not in row], params, tools))
        return [{"error": row["error"]} if "error" in row else next(made) for row in seen]

    def _made(self, rows: Sequence[Row], params: BaseModel, tools: Tools) -> list[dict[str, Any]]:
        if self.ADDS is BODY:
            bodies = self.captioner.caption(rows, params, device=tools.device)
            return [_error(one) or {"caption__body": one} for one in bodies]
        found = self.captioner.propose(rows, params, device=tools.device, say=tools.say)
        return [
            _error(texts) or {"caption__body": next(iter(texts), ""), "caption__others": texts[1:]} for texts in found
        ]


def _error(made: object) -> dict[str, Any]:
    return {"error": str(made)} if isinstance(made, PictureError) else {}


def run(run: Run, tools: Tools) -> str:
    """Save the table `captions`: a proposed body for each picture, its own sidecar's first where the recipe says so."""
    recipe = run.recipe.caption
    captioner = plugins.load("captioners", recipe.captioner, field="caption.captioner")
    params = params_of(captioner, recipe.captioner_params, field="caption.params")
    pictures = [row for name in ("kept", "dropped") for row in run.rows(name, ("sample_id", "pixel_id", "sidecar"))]
    told = {row["sample_id"]: row["sidecar"] for row in pictures if recipe.prefer_sidecar and row["sidecar"]}
    rows = [{**row, "sidecar": row["sidecar"] or ""} for row in pictures if row["sample_id"] not in told]
    stage = Captioning(captioner)
    stored = ensure(stage, rows, params, tools, weights=captioner.weights(params), shard=SHARD)
    source = captioner.provenance(params)
    made = [
        {
            "sample_id": row["sample_id"],
            "body": said["caption__body"] or "",
            "candidates": said.get("caption__others") or [],
            "source": source,
            "error": said["error"],
        }
        for row, said in zip(rows, stored.table().to_pylist(), strict=True)
    ]
    made += [{"sample_id": one, "body": text, "candidates": [], "source": "sidecar"} for one, text in told.items()]
    run.save("captions", table_of(made, CAPTIONS))
    empty = sum(not row["body"] for row in made)
    return f"{len(made)} captions, {len(told)} of them from beside the files, {empty} empty"
