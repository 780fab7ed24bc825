"""What a recipe says of duplicates: which pictures count as the same, which of them is kept, what must not be there."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from pipeline.settings import Part


class Near(Part):
    """When two pictures are near-duplicates."""

    distance: int = Field(
        6,
        ge=0,
        le=12,
        description="largest Hamming distance of the 64-bit perceptual hashes; 0 to 12, 10 merges colours",
    )
    colour: int = Field(
        24, ge=0, le=255, description="largest difference of mean colours, of 255; 0 to 255, and 255 ignores colour"
    )
    flips: bool = Field(
        default=False, description="look for copies that are mirrored, too, left to right or upside down"
    )
    rotations: bool = Field(
        default=False, description="look for copies that are turned, too, by quarters; with flips also in a mirror"
    )


class Alike(Part):
    """When two pictures show the same to CLIP: other crops, other light, other colours, where the hash sees no copy."""

    similarity: float = Field(
        0.95, ge=-1, le=1, description="least cosine of the two pictures' CLIP embeddings; -1 to 1"
    )
    clip: str = Field("starter", description="starter, a folder, or a hub id of a CLIP, open_clip's or transformers'")
    revision: str | None = Field(None, description="commit of the hub model")


BEST = ("resolution__megapixels", "sharpness__score")
"""What `keep: best` means: columns, the highest first."""


class Dedup(Part):
    """Which pictures count as the same."""

    near: Near | None = Field(Near(), description="near-duplicates by perceptual hash; null looks for exact ones only")
    embedding: Alike | None = Field(None, description="near-duplicates by CLIP embeddings; null looks for none")
    against: Literal["run", "accepted"] = Field(
        "run",
        description="what pictures are held against. run: each other; accepted: also what earlier runs of the "
        "workspace kept and this one has not, which is kept instead",
    )
    keep: Literal["best"] | tuple[str, ...] = Field(
        "best",
        description="which of a group is kept. best: highest resolution, then sharpness, then captioned; or columns in "
        "order (`gesso list scorers`), the highest first, with a - in front the lowest first",
    )

    @property
    def order(self) -> tuple[str, ...]:
        """The columns that decide which of a group is kept, the first one first."""
        return BEST if self.keep == "best" else tuple(self.keep)


class Evaluation(Part):
    """Pictures that are measured on and must not be trained on."""

    name: str = Field(description="what messages call it", pattern=r"^[\w.-]{1,64}$")
    path: Path = Field(description="a folder of pictures, read recursively; relative to where the command runs")


class Contamination(Part):
    """What training must not have seen: a run that would train on it fails, before anything is trained."""

    against: tuple[Evaluation, ...] = Field((), description="evaluation sets whose pictures must not be trained on")
    held_out: bool = Field(
        default=False, description="fail also where a view to train on looks like a picture that is held out"
    )
    distance: int = Field(
        6, ge=0, le=16, description="largest Hamming distance of the 64-bit perceptual hashes that counts; 0 to 16"
    )
    colour: int = Field(
        24, ge=0, le=255, description="largest difference of mean colours that counts, of 255; 255 ignores colour"
    )
