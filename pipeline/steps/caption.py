"""Step: propose a caption for every picture that is kept."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any

import pyarrow as pa
from pydantic import BaseModel

from pipeline import hygiene, imaging, plugins
from pipeline.captioning import Caption
from pipeline.errors import PictureError
from pipeline.manifest import Row, table_of
from pipeline.run import Run
from pipeline.stage import Tools, ensure
from pipeline.steps import fit, ranking
from pipeline.steps.measure import params_of

SHARD = 64
CAPTIONS = pa.schema(
    [
        ("sample_id", pa.string()),
        ("body", pa.string()),
        ("candidates", pa.list_(pa.string())),  # what else was proposed, best first
        ("tags", pa.string()),  # by the recipe's tagger, parted by commas
        ("source", pa.string()),  # sidecar, or the captioner with its model and revision
        ("made", pa.string()),  # JSON: captioner, version, model, revision, weights, settings and who re-ranked
        ("said", pa.string()),  # the machine's own text, where hygiene changed it
        ("changes", pa.list_(pa.string())),  # what hygiene did to it
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
    weights = captioner.weights(params)
    said = ensure(Captioning(captioner), rows, params, tools, weights=weights, shard=SHARD).table().to_pylist()
    texts = [[text for text in (one["caption__body"], *(one.get("caption__others") or ())) if text] for one in said]
    source, made = captioner.provenance(params), _made(recipe, captioner, params, weights)
    if recipe.rerank:
        asked = [{**row, "texts": some} for row, some in zip(rows, texts, strict=True)]
        texts, source = ranking.reranked(run, asked, tools), f"{source} reranked={'+'.join(recipe.rerank)}"
    # what stands beside a file is no machine's
    instead = recipe.replace if captioner.LOOKS else {}
    prompt, clean = str(getattr(params, "prompt", None) or ""), recipe.clean and captioner.SENTENCES
    captions = [
        {
            "sample_id": row["sample_id"],
            **_tidy(some, clean=clean, prompt=prompt, instead=instead),
            "source": source,
            "made": made,
            "error": one["error"],
        }
        for row, some, one in zip(rows, texts, said, strict=True)
    ]
    captions += [
        {"sample_id": one, "body": text, "candidates": [], "source": "sidecar", "made": "{}", "changes": []}
        for one, text in told.items()
    ]
    tags = tagged(run, pictures, tools)
    run.save("captions", table_of([{**row, "tags": tags.get(row["sample_id"], "")} for row in captions], CAPTIONS))
    if recipe.fit:
        fit.measure(run, tools)
    empty = sum(not row["body"] for row in captions)
    changed = sum(bool(row["changes"]) for row in captions)
    done = f"{len(captions)} captions, {len(told)} of them from beside the files, {empty} empty"
    return f"{done}, {changed} put right" if changed else done


def tagged(run: Run, pictures: Sequence[Row], tools: Tools) -> dict[str, str]:
    """The tags of every picture by its sample id, where the recipe names a tagger."""
    recipe = run.recipe.caption.tags
    if recipe is None:
        return {}
    tagger = plugins.load("captioners", recipe.tagger, field="caption.tags.tagger")
    params = params_of(tagger, recipe.tagger_params, field="caption.tags.params")
    rows = [{**row, "sidecar": row["sidecar"] or ""} for row in pictures]
    stored = ensure(Captioning(tagger), rows, params, tools, weights=tagger.weights(params), shard=SHARD)
    said = stored.table(["caption__body"])["caption__body"].to_pylist()
    return {row["sample_id"]: tags or "" for row, tags in zip(rows, said, strict=True)}


def _tidy(texts: Sequence[str], *, clean: bool, prompt: str, instead: Mapping[str, str] = MappingProxyType({})) -> Row:
    """The first of the texts as the body and the others as candidates, put right; the prompt was asked for, and stays.

    `instead` is what to write instead of phrases.
    """
    found = [_put_right(text, clean, prompt, instead) for text in texts]
    body, changes = found[0] if found else ("", ())
    others = dict.fromkeys(text for text, _ in found[1:] if text != body)
    return {
        "body": body,
        "candidates": list(others),
        "said": texts[0] if changes else None,
        "changes": list(changes),
    }


def _put_right(text: str, clean: bool, prompt: str, instead: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    asked = " ".join(prompt.split())
    if asked and text.startswith(f"{asked} "):
        rest, changes = _put_right(text.removeprefix(f"{asked} "), clean, "", instead)
        return f"{asked} {rest}", changes
    text, cleaned = hygiene.cleaned(text) if clean else (text, ())
    text, replaced = hygiene.replaced(text, instead)
    # what is struck out may bring repeats together
    text, again = hygiene.cleaned(text) if clean and replaced else (text, ())
    return text, (*cleaned, *replaced, *again)


def _made(recipe: Caption, captioner: Any, params: BaseModel, weights: str) -> str:  # noqa: ANN401 (a plug-in module)
    """What made the captions, as JSON."""
    settings = params.model_dump(mode="json")
    told = {
        "captioner": recipe.captioner,
        "version": captioner.VERSION,
        "model": getattr(params, "model", None),
        "revision": getattr(params, "revision", None),
        "weights": weights[:16],
        "prompt": settings.pop("prompt", None),
        "seed": settings.pop("seed", None),
        "settings": settings,
        "reranked": list(recipe.rerank),
    }
    return json.dumps({name: one for name, one in told.items() if one not in (None, "", [])}, ensure_ascii=False)
