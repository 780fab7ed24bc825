"""One decode of a file feeds every measurer that still needs it: the scorers and the perceptual hash.

A measurer is a module with VERSION, ADDS, Params and `measure(picture, params) -> mapping`. It is stored like a stage
whose key is the sample and which reads nothing else.
"""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import pyarrow as pa
from pydantic import BaseModel

from pipeline import imaging
from pipeline.errors import PictureError
from pipeline.stage import SHARD, Stored, Tools, commit, fingerprint, name_of, note, requests_of, stored_requests

KEY = ("sample_id",)


class Measurer(Protocol):
    """What a scorer, or anything else that is measured on one decoded picture, offers."""

    __name__: str
    VERSION: int
    ADDS: pa.Schema

    def measure(self, picture: imaging.Canonical, params: Any) -> Mapping[str, Any]:  # noqa: ANN401 (each has its own)
        """The values of ADDS for one picture."""


def fingerprint_of(measurer: Measurer, params: BaseModel) -> str:
    """A measurer's fingerprint, which also changes with the version of the canonical pixels."""
    return fingerprint(measurer, params, f"pixels-{imaging.PIXELS_VERSION}")


def measure(
    measurers: Sequence[tuple[Measurer, BaseModel]], samples: Mapping[str, str], tools: Tools
) -> dict[str, Stored]:
    """Make sure that every measurer has its row for every sample; `samples` maps sample ids to a file name.

    The name only serves to notice an extension that lies. A picture that cannot be decoded gets an error in each.
    """
    began = time.monotonic()
    ids = sorted(samples)
    wanted = dict(zip(ids, requests_of([{"sample_id": one} for one in ids], KEY, ()), strict=True))
    folders = [tools.workspace.table_folder(name_of(one), fingerprint_of(one, params)) for one, params in measurers]
    missing = [set(wanted.values()) - stored_requests(folder, KEY) for folder in folders]
    todo = [one for one in ids if any(wanted[one] in lacking for lacking in missing)]

    def look(sample_id: str) -> list[Mapping[str, Any]]:
        needed = [wanted[sample_id] in lacking for lacking in missing]
        try:
            picture = imaging.decode(tools.read(sample_id), name=samples[sample_id])
        except PictureError as error:
            return [{"error": str(error)}] * len(measurers)
        return [
            one.measure(picture, params) if need else {} for (one, params), need in zip(measurers, needed, strict=True)
        ]

    with ThreadPoolExecutor(tools.workers) as pool:
        for start in range(0, len(todo), SHARD):
            part = todo[start : start + SHARD]
            made = list(pool.map(look, part))
            for place, (measurer, _) in enumerate(measurers):
                lacking = [index for index, one in enumerate(part) if wanted[one] in missing[place]]
                if lacking:
                    requests = [wanted[part[index]] for index in lacking]
                    commit(folders[place], measurer, requests, [made[index][place] for index in lacking])
            tools.progress("measure", min(start + SHARD, len(todo)), len(todo))
    note(tools, "measure", computed=len(todo), asked=len(ids), began=began)
    requests = tuple(wanted[one] for one in ids)
    return {
        name_of(measurer): Stored(folder, KEY, requests, measurer.ADDS)
        for (measurer, _), folder in zip(measurers, folders, strict=True)
    }
