"""Beside the steps: thumbnails of pictures for pages."""

from collections.abc import Iterable

from pipeline import imaging, shards, thumbnails
from pipeline.stage import Tools, ensure, fingerprint

SHARD = 64


def of(sample_ids: Iterable[str], tools: Tools, *, side: int) -> dict[str, bytes]:
    """A WebP of each picture, of at most `side` pixels; those that cannot be decoded or are gone have none."""
    params, workspace = thumbnails.Params(side=side), tools.workspace
    decoded = imaging.version()
    folder = workspace.table_folder("thumbnails", fingerprint(thumbnails, params, decoded), cache=True)
    there = {name for name, *_ in shards.requests(folder, thumbnails.KEY)}
    asked = [one for one in dict.fromkeys(sample_ids) if one in there or workspace.original(one).exists()]
    if not asked:
        return {}
    rows = [{"sample_id": one} for one in asked]
    stored = ensure(thumbnails, rows, params, tools, weights=decoded, cache=True, shard=SHARD)  # type: ignore[arg-type]
    if not tools.stats[-1].computed:
        tools.stats.pop()
    found = stored.table().to_pylist()
    return {row["sample_id"]: row["thumbnails__webp"] for row in found if row["thumbnails__webp"] is not None}
