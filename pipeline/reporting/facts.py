"""The facts of a run as values that JSON can hold: what its page shows, without the pictures."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

import numpy as np

from pipeline.reporting import verdict
from pipeline.reporting.record import RunRecord


def facts(record: RunRecord) -> dict[str, Any]:
    """The verdict, the counts and every part of the record but its pictures; what is not finite becomes None."""
    told = {
        "verdict": verdict.verdict(record),
        "tone": verdict.tone(record),
        "cautions": list(verdict.cautions(record)),
        "files": verdict.came_in(record),
        "kept": verdict.kept(record),
        "states": dict(verdict.states(record)),
    }
    return told | _fields(record)


def _fields(value: object) -> dict[str, Any]:
    pairs = ((field.name, getattr(value, field.name)) for field in fields(value))  # type: ignore[arg-type]  # a dataclass
    return {
        name: _plain(one) for name, one in pairs if name != "thumbnails" and not isinstance(one, bytes | np.ndarray)
    }


def _plain(value: object) -> object:
    if is_dataclass(value):
        return _fields(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    return value
