"""Small pictures beside a review file."""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from PIL import Image

from pipeline.review.rows import ReviewRow


def folder_of(path: Path) -> Path:
    """The folder of a review file's pictures, beside it."""
    return path.with_name(f"{path.stem}_thumbnails")


def save(path: Path, rows: Iterable[ReviewRow], pictures: Mapping[str, bytes]) -> None:
    """Save the encoded pictures (by sample_id) of the rows as JPEG, named by the rows' ids, for a review file."""
    for row in rows:
        if row.sample_id in pictures:
            folder_of(path).mkdir(parents=True, exist_ok=True)
            with Image.open(io.BytesIO(pictures[row.sample_id])) as image:
                image.convert("RGB").save(folder_of(path) / f"{row.id}.jpg", "JPEG", quality=85)


def place(path: Path, row: ReviewRow, pictures: Mapping[str, bytes]) -> str:
    """Where the picture of a row lies, as seen from the review file; "" where it has none."""
    return f"{folder_of(path).name}/{row.id}.jpg" if row.sample_id in pictures else ""
