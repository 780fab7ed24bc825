"""One decode of a file feeds every measurer that still needs it: the scorers and the perceptual hash.

A measurer is a module with VERSION, ADDS, Params and `measure(picture, params) -> mapping`. It is stored like a stage
whose key is the sample, and which reads nothing else but the extension that the file's name bears.
"""

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Semaphore
from typing import Any, NamedTuple, Protocol

import numpy as np
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


Measurers = Sequence[tuple[Measurer, BaseModel]]
"""Each with its parameters."""


class Sample(NamedTuple):
    """A picture to look at: its id, its file's name, and which measurers need it."""

    id: str
    name: str
    needed: tuple[bool, ...]


def fingerprint_of(measurer: Measurer, params: BaseModel) -> str:
    """A measurer's fingerprint, which also changes with the versions of the canonical pixels and the proxy."""
    return fingerprint(measurer, params, imaging.version())


def requests_of(samples: Mapping[str, str]) -> dict[str, Request]:
    """What is asked of every measurer for each sample; `samples` maps sample ids to a file name."""
    endings = {one: os.path.splitext(samples[one])[1].lower() for one in sorted(samples)}  # noqa: PTH122 (as of paths)
    inputs = {one: _requests_of([{"sample_id": "", "extension": one}], KEY, READS)[0][1] for one in {*endings.values()}}
    return {one: (one, inputs[ending]) for one, ending in endings.items()}


def measure(measurers: Measurers, samples: Mapping[str, str], tools: Tools) -> dict[str, Stored]:
    """Make sure that every measurer has its row for every sample; `samples` maps sample ids to a file name.

    The name only serves to notice an extension that lies. A picture that cannot be decoded gets an error in each; one
    that a single measurer refuses, in that one.
    """
    began = time.monotonic()
    wanted = requests_of(samples)
    folders = [tools.workspace.table_folder(name_of(one), fingerprint_of(one, params)) for one, params in measurers]
    ids, names = list(wanted), shards.names_of(list(wanted.values()))
    missing = np.array([shards.lacking(folder, KEY, names) for folder in folders])
    todo = [
        Sample(ids[place], samples[ids[place]], tuple(missing[:, place].tolist()))
        for place in np.flatnonzero(missing.any(axis=0)).tolist()
    ]
    compute = partial(_measured, measurers, tools)
    for part, made in tools.executor.map(compute, cut(todo, "measure", tools)):
        for place, (measurer, _) in enumerate(measurers):
            lacking = [index for index, one in enumerate(part) if one.needed[place]]
            if lacking:
                requests = [wanted[part[index].id] for index in lacking]
                commit(folders[place], measurer, requests, [made[index][str(place)] for index in lacking])
        for one, rows in zip(part, made, strict=True):
            for error in dict.fromkeys(row["error"] for row in rows.values() if "error" in row):
                warn("measure", one.id, error)
    for folder in folders:
        shards.compact(folder)
    note(tools, "measure", computed=len(todo), asked=len(wanted), began=began)
    return {
        name_of(measurer): Stored(folder, KEY, tuple(wanted.values()), measurer.ADDS, names)
        for (measurer, _), folder in zip(measurers, folders, strict=True)
    }


def _measured(measurers: Measurers, tools: Tools, part: Sequence[Sample]) -> list[Mapping[str, Any]]:
    """What each measurer finds on each picture, by the measurer's place."""
    # measurers are many short calls, and threads that are at them at once mostly wait for each other; a picture is
    # decoded for four times as long as it is measured
    turn = Semaphore(max(1, tools.workers // 4))

    def look(sample: Sample) -> Mapping[str, Any]:
        places = range(len(measurers))
        try:
            picture = imaging.decode(tools.read(sample.id), name=sample.name)
        except PictureError as error:
            return {str(place): {"error": str(error)} for place in places}
        with turn:
            return {str(place): _look(*measurers[place], picture) for place in places if sample.needed[place]}

    made = []
    with ThreadPoolExecutor(tools.workers) as pool:
        for found in pool.map(look, part):
            made.append(found)
            tools.advance(len(made))
    return made


def _look(measurer: Measurer, params: BaseModel, picture: imaging.Canonical) -> Mapping[str, Any]:
    try:
        return measurer.measure(picture, params)
    except PictureError as error:
        return {"error": str(error)}
