"""The facts of a run as values that JSON can hold: what its page shows, without the pictures."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any, TypeGuard

import numpy as np

from pipeline.reporting import planted, verdict
from pipeline.reporting.record import RunRecord
from pipeline.reporting.words import spread

MOST_ROWS = 10_000
"""Rows of one part; of longer ones every n-th is told, and `shortened` says how many there were."""


def facts(record: RunRecord) -> dict[str, Any]:
    """The verdict, the counts and every part of the record but its pictures; what is not finite becomes None."""
    parts = {field.name: getattr(record, field.name) for field in fields(record)}
    long = {name: part for name, part in parts.items() if _is_sequence(part) and len(part) > MOST_ROWS}
    parts |= {name: spread(part, MOST_ROWS) for name, part in long.items()}
    told = {
        "verdict": verdict.verdict(record),
        "tone": verdict.tone(record),
        "cautions": list(verdict.cautions(record)),
        "files": verdict.came_in(record),
        "kept": verdict.kept(record),
        "states": dict(verdict.states(record)),
        "shortened": {name: len(part) for name, part in long.items()},
    }
    caught = planted.compare(record)
    if caught:
        told["caught"] = {
            "recall": caught.recall,
            "precision": caught.precision,
            "kinds": {one.name: {"planted": one.planted, "right": one.right} for one in caught.kinds},
        }
    return told | _told(parts)


def _told(parts: Mapping[str, object]) -> dict[str, Any]:
    return {
        name: _plain(part)
        for name, part in parts.items()
        if name != "thumbnails" and not isinstance(part, bytes | np.ndarray)
    }


def _is_sequence(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _plain(value: object) -> object:
    if is_dataclass(value):
        return _told({field.name: getattr(value, field.name) for field in fields(value)})
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    if _is_sequence(value):
        return [_plain(one) for one in value]
    return value
