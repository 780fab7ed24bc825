"""Puts a training set together: its rows, its digest, and the folder that says what it is and whom it owes."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline import augment
from pipeline.manifest import Row, digest, table_of
from pipeline.selection import Kept
from pipeline.settings import Augment
from pipeline.trainset.composition import shuffled
from pipeline.workspace import Workspace, write_bytes, write_table

MANIFEST = pa.schema(
    [
        ("sample_id", pa.string()),
        ("pixel_id", pa.string()),
        ("view", pa.int32()),  # 0 is the picture itself
        ("transforms", pa.string()),  # JSON of the transforms that the caption allows; [] for view 0
        ("refused", pa.list_(pa.string())),  # the transforms it does not allow, with the reason
        ("caption", pa.string()),
        ("split", pa.string()),  # train, held_out or prior
        ("repeats", pa.int32()),
        ("origins", pa.list_(pa.string())),  # eligible ones only
        ("licenses", pa.list_(pa.string())),
        ("mask", pa.string()),  # sample_id of the mask, where the loss is masked and the picture has one
    ]
)
NAMED = ("sample_id", "pixel_id", "view", "transforms", "caption", "split", "repeats", "licenses")
"""Columns that the digest covers, and the mask where there is one; where a file lay plays no part."""


def compose(
    template: str, *, body: str, class_: str | None, trigger: str | None, tags: str = "", sidecar: str | None = None
) -> str:
    """The caption that training reads: the template filled, without the gaps that empty parts leave.

    The template's commas part it; a part that comes out empty goes with its comma. The body's own commas stay.
    """
    values = {"body": body, "class": class_ or "", "trigger": trigger or "", "tags": tags, "sidecar": sidecar or ""}
    parts = [" ".join(part.format(**values).split()).strip(" ,") for part in template.split(",")]
    return ", ".join(part for part in parts if part)


def rows_of(
    kept: Sequence[Kept],
    captions: Mapping[str, str],
    augmentation: Augment,
    *,
    masked: bool = False,
    keep: int | None = None,
) -> list[Row]:
    """The manifest's rows: every view of every kept picture; `captions` are the composed ones by sample id.

    With `keep` every further view has the parts of its caption in an order of its own, but for so many first ones.
    With `masked` they name the pictures' masks: of several places that a picture came from, the first that has one.
    """
    rows: list[Row] = []
    for one in sorted(kept, key=lambda each: each.sample_id):
        caption = captions[one.sample_id]
        allowed, refused = augment.effective(augmentation.transforms, caption, insist=augmentation.insist)
        views = augmentation.views if one.split == "train" and (allowed or keep is not None) else 1
        shared = {
            "sample_id": one.sample_id,
            "pixel_id": one.pixel_id,
            "caption": caption,
            "split": one.split,
            "repeats": int(one.origins[0]["repeats"]),
            "origins": sorted(origin["origin"] for origin in one.origins),
            "mask": next((origin["mask"] for origin in one.origins if masked and origin.get("mask")), None),
            "licenses": sorted({origin["license"] or "unknown" for origin in one.origins}),
        }
        told = {"transforms": json.dumps(list(allowed)), "refused": list(refused)}
        rows += [
            {
                **shared,
                "view": view,
                "caption": _ordered(caption, one.pixel_id, view, keep),
                **(told if view else {"transforms": "[]", "refused": []}),
            }
            for view in range(views)
        ]
    return rows


def _ordered(caption: str, pixel_id: str, view: int, keep: int | None) -> str:
    return shuffled(caption, keep=keep, seed=f"{pixel_id} {view}") if view and keep is not None else caption


def name(rows: Sequence[Row]) -> str:
    """The training set's digest, SHA-256 over its canonical rows."""
    said = [[*(row[column] for column in NAMED), *([row["mask"]] if row.get("mask") else [])] for row in rows]
    return digest(sorted(said, key=lambda row: (row[0], row[2])))


def write(
    workspace: Workspace, rows: Sequence[Row], kept: Sequence[Kept], *, title: str, provenance: Mapping[str, Any]
) -> Path:
    """Write manifest.parquet, card.md and ATTRIBUTION.md of a training set; its folder is returned.

    Written again for a set that is there: where a picture lies is no part of the name, but whom to thank may be new.
    """
    named = name(rows)
    folder = workspace.trainsets / named
    write_bytes(folder / "card.md", _card(rows, title, named, provenance).encode())
    write_bytes(folder / "ATTRIBUTION.md", attribution(kept).encode())
    write_table(folder / "manifest.parquet", table_of(rows, MANIFEST))
    return folder


def _card(rows: Sequence[Row], title: str, named: str, provenance: Mapping[str, Any]) -> str:
    pictures = {row["sample_id"]: row for row in rows}
    splits = Counter(row["split"] for row in pictures.values())
    licenses = Counter(license_ for row in pictures.values() for license_ in row["licenses"])
    lines = [
        "---",
        f"pretty_name: {json.dumps(title)}",
        f"license: {json.dumps(sorted(licenses)) if len(licenses) != 1 else json.dumps(next(iter(licenses)))}",
        "task_categories: [text-to-image]",
        "---",
        f"# Training set {plain(title)}",
        "",
        f"Digest `{named}`. {len(pictures)} pictures in {len(rows)} views:",
        f"{splits['train']} to train on, {splits['held_out']} held out and never trained on"
        + (f", {splits['prior']} of the class." if splits["prior"] else "."),
        "",
        "## Licences",
        *(f"- {plain(license_)}: {count} pictures" for license_, count in sorted(licenses.items())),
        "",
        "Whom to name stands in ATTRIBUTION.md.",
        "",
        "## How it was made",
        *(f"- {plain(key)}: {plain(str(value))}" for key, value in provenance.items()),
        "",
        "## Use",
        "These pictures were selected by rules and by people's decisions. Nobody has looked for faces, biases or",
        "harmful content. Do not use models trained on them to pass off pictures of real people as real.",
        "",
    ]
    return "\n".join(lines)


def attribution(kept: Sequence[Kept]) -> str:
    """ATTRIBUTION.md: every eligible place that a picture came from, with its licence and whom to name."""
    lines = ["# Attribution", "", "Every eligible place that a picture of this training set came from.", ""]
    for one in sorted(kept, key=lambda each: each.sample_id):
        for origin in one.origins:
            told = origin["attribution"] or ", ".join(
                str(origin[name]) for name in ("creator", "source_url", "license_url") if origin[name]
            )
            said = f": {plain(told)}" if told else ""
            lines.append(f"- {_code(origin['origin'])} ({plain(origin['license'] or 'licence unknown')}){said}")
    return "\n".join(lines) + "\n"


def plain(text: str) -> str:
    """Text in one line that Markdown and HTML take for nothing else."""
    return re.sub(r"[\\`*\[\]<>]|^[#+-]", r"\\\g<0>", _line(text))


def _code(text: str) -> str:
    """Text as a code span, fenced by more backticks than it has in a row."""
    line = _line(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    return f"{fence} {line} {fence}" if "`" in line else f"{fence}{line}{fence}"


def _line(text: str) -> str:
    """Text with what would end a line, or is not to be seen, escaped."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
