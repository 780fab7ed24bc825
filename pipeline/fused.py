"""One decode of a file feeds every measurer that still needs it: the scorers and the perceptual hash.

A measurer is a module with VERSION, ADDS, Params and `measure(picture, params) -> mapping`. It is stored like a stage
whose key is the sample, and which reads nothing else but the extension that the file's name bears.
"""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePath
from typing import Any, Protocol

import pyarrow as pa
from pydantic import BaseModel

from pipeline import imaging, shards
from pipeline.errors import PictureError
from pipeline.shards import Request
from pipeline.stage import Stored, Tools, commit, cut, fingerprint, name_of, note, warn
from pipeline.stage import requests_of as _requests_of

KEY = ("sample_id",)
READS = ("extension",)


class Measurer(Protocol):
    """What a scorer, or anything else that is measured on one decoded picture, offers."""

    __name__: str
    VERSION: int
    ADDS: pa.Schema

    def measure(self, picture: imaging.Canonical, params: Any) -> Mapping[str, Any]:  # noqa: ANN401 (each has its own)
        """The values of ADDS for one picture."""


def fingerprint_of(measurer: Measurer, params: BaseModel) -> str:
    """A measurer's fingerprint, which also changes with the versions of the canonical pixels and the proxy."""
    return fingerprint(measurer, params, f"pixels-{imaging.PIXELS_VERSION}, proxy-{imaging.PROXY_VERSION}")


def requests_of(samples: Mapping[str, str]) -> dict[str, Request]:
    """What is asked of every measurer for each sample; `samples` maps sample ids to a file name."""
    rows = [{"sample_id": one, "extension": PurePath(samples[one]).suffix.lower()} for one in sorted(samples)]
    return dict(zip(sorted(samples), _requests_of(rows, KEY, READS), strict=True))


def measure(
    measurers: Sequence[tuple[Measurer, BaseModel]], samples: Mapping[str, str], tools: Tools
) -> dict[str, Stored]:
    """Make sure that every measurer has its row for every sample; `samples` maps sample ids to a file name.

    The name only serves to notice an extension that lies. A picture that cannot be decoded gets an error in each; one
    that a single measurer refuses, in that one.
    """
    began = time.monotonic()
    wanted = requests_of(samples)
    folders = [tools.workspace.table_folder(name_of(one), fingerprint_of(one, params)) for one, params in measurers]
    missing = [set(wanted.values()) - shards.requests(folder, KEY) for folder in folders]
    todo = [one for one in wanted if any(wanted[one] in lacking for lacking in missing)]

    def look(sample_id: str) -> list[Mapping[str, Any]]:
        needed = [wanted[sample_id] in lacking for lacking in missing]
        try:
            picture = imaging.decode(tools.read(sample_id), name=samples[sample_id])
        except PictureError as error:
            return [{"error": str(error)}] * len(measurers)
        return [
            _look(one, picture, params) if need else {} for (one, params), need in zip(measurers, needed, strict=True)
        ]

    with ThreadPoolExecutor(tools.workers) as pool:
        for part in cut(todo, "measure", tools):
            made = []
            for rows in pool.map(look, part):
                made.append(rows)
                tools.advance(len(made))
            for place, (measurer, _) in enumerate(measurers):
                lacking = [index for index, one in enumerate(part) if wanted[one] in missing[place]]
                if lacking:
                    requests = [wanted[part[index]] for index in lacking]
                    commit(folders[place], measurer, requests, [made[index][place] for index in lacking])
            for sample_id, rows in zip(part, made, strict=True):
                for error in dict.fromkeys(row["error"] for row in rows if "error" in row):
                    warn("measure", sample_id, error)
    for folder in folders:
        shards.compact(folder)
    note(tools, "measure", computed=len(todo), asked=len(wanted), began=began)
    return {
        name_of(measurer): Stored(folder, KEY, tuple(wanted.values()), measurer.ADDS)
        for (measurer, _), folder in zip(measurers, folders, strict=True)
    }


def _look(measurer: Measurer, picture: imaging.Canonical, params: BaseModel) -> Mapping[str, Any]:
    try:
        return measurer.measure(picture, params)
    except PictureError as error:
        return {"error": str(error)}
