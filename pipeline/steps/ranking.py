"""Beside the steps: which of several candidates is the caption, where CLIP and BLIP's matching head are asked."""

from collections.abc import Sequence

from pipeline.manifest import Row
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.steps import fit

JUDGES = {"clip": fit.by_clip, "itm": fit.by_match}
"""Who may be asked, by the name in `caption.rerank`."""


def reranked(run: Run, rows: Sequence[Row], tools: Tools) -> list[list[str]]:
    """Each row's texts (`sample_id`, `pixel_id`, `texts`), best first in the eyes of all `caption.rerank` together.

    As in CapFilt (Li et al. 2022) the captioner proposes and others choose. A judge gives places, not numbers, since
    those of two models cannot be added; texts of equal places stay in the captioner's order.

    Raises:
        ModelError: a judge's model is not there and cannot be had.
    """
    asked = [
        {"sample_id": row["sample_id"], "pixel_id": row["pixel_id"], "body": text}
        for row in rows
        for text in row["texts"]
    ]
    told = [JUDGES[name](run, asked, tools) for name in run.recipe.caption.rerank]
    found, start = [], 0
    for row in rows:
        texts = row["texts"]
        scores = [judge[start : start + len(texts)] for judge in told]
        start += len(texts)
        found.append([texts[place] for place in order(scores)] if texts else [])
    return found


def order(scores: Sequence[Sequence[float | None]]) -> list[int]:
    """Places of candidates, best first, by the mean of their places with each judge: `scores` are judges x candidates.

    A judge that could say nothing of a candidate has no part in it.
    """
    count = len(scores[0]) if scores else 0
    places = [0.0] * count
    for judge in scores:
        heard = [-1.0 if one is None else one for one in judge]
        for place, value in enumerate(heard):
            places[place] += sum(other > value for other in heard)
    return sorted(range(count), key=lambda place: places[place])
