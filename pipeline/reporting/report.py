"""The report of a run: one HTML page that opens offline, and the same facts as JSON beside it."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TextIO

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipeline import atomic
from pipeline.reporting import captions, planted, plots, sections, verdict, words
from pipeline.reporting.curves import by_timestep, overall
from pipeline.reporting.facts import facts
from pipeline.reporting.pictures import Album
from pipeline.reporting.record import RunRecord

_TEMPLATES = files("pipeline.reporting") / "templates"


def write(record: RunRecord, path: Path) -> Path:
    """Write the page to `path` and its facts to the same name with `.json`; each appears complete or not at all.

    Returns:
        `path`.

    Raises:
        ValueError: a picture of the record is not WebP, PNG, JPEG or GIF.
    """
    with _text(path.with_suffix(".json")) as file:
        json.dump(facts(record), file, indent=1, allow_nan=False)
    with _text(path) as file:
        file.write(html(record))
    return path


@contextmanager
def _text(path: Path) -> Iterator[TextIO]:
    """A text to write, which takes the name `path` once it is complete."""
    # names that were no UTF-8 come as lone surrogates, which are written as escapes
    with atomic.file(path) as part, part.open("w", encoding="utf-8", errors="backslashreplace") as file:
        yield file


def html(record: RunRecord) -> str:
    """The page: no request leaves it, and every text of the record stays text."""
    album = Album(record.thumbnails)
    filled = sections.filled(record, album)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            record=record,
            verdict=verdict.verdict(record),
            tone=verdict.tone(record),
            cautions=verdict.cautions(record),
            figures=_key_figures(record),
            sections=filled,
            left_out=album.left_out,
            **page_sources(),
        )
    )


def environment() -> Environment:
    """Templates that escape every text, with the words of reports as filters."""
    made = Environment(
        loader=PackageLoader("pipeline.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {name: getattr(words, name) for name in ("number", "percent", "count", "duration", "memory")}
    made.filters |= {"words": words.plain, "clip": captions.clip, "said": verdict.said}
    return made


def page_sources() -> dict[str, str]:
    """Style sheet and script of a page, and how its policy names them."""
    style, script = (_source(name) for name in ("style.css", "script.js"))
    return {"style": style, "script": script, "style_hash": _hash(style), "script_hash": _hash(script)}


def _key_figures(record: RunRecord) -> list[tuple[str, str]]:
    """(value, what it is) pairs for the top of the page."""
    figures = []
    if verdict.came_in(record):
        figures.append((f"{verdict.kept(record):,} of {verdict.came_in(record):,}", "files kept"))
    caught = planted.compare(record)
    if caught:
        figures.append((words.percent(caught.recall), "of planted trouble caught"))
        figures.append((words.percent(caught.precision), "of what left, left rightly"))
    if record.captions:
        reviewed = sum(row.reviewed is not None for row in record.captions)
        figures.append((f"{reviewed:,} of {len(record.captions):,}", "captions read by a person"))
    if record.training:
        figures.append((f"{record.training[-1].step:,}", "training steps"))
    for split, curve in overall(by_timestep(record.stable_loss)).items():
        figures.append(
            (words.percent(curve[-1][1], signed=True), f"{plots.SPLITS[split][0]} loss since the base model")
        )
    figures.append((words.duration((record.finished - record.started).total_seconds()), "from start to end"))
    peaks = [stage.peak_mib for stage in record.stages if stage.peak_mib is not None]
    if peaks:
        figures.append((words.memory(max(peaks)), "highest memory"))
    return figures


def _source(name: str) -> Markup:
    """A style sheet or script of ours, to be put into the page as it is."""
    return Markup((_TEMPLATES / name).read_text("utf-8"))  # noqa: S704 - a file of this package, not of the record


def _hash(source: str) -> str:
    """How a content security policy names an inline source."""
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"
