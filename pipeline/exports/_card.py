"""README.md of an exported set: a Hugging Face dataset card."""

from collections import Counter
from collections.abc import Mapping, Sequence

from pipeline.exports._picture import SPLITS, Picture
from pipeline.trainset import build

KNOWN_LICENSES = ("apache", "mit", "cc", "bsd", "gpl", "lgpl", "agpl", "odc", "odbl", "pddl", "unlicense", "gfdl")
"""How those SPDX ids begin that the hub knows, in small letters."""


def card(
    pictures: Sequence[Picture], *, title: str, files: Mapping[str, Sequence[str]], facts: Mapping[str, str]
) -> str:
    """The card of a set: what a hub reads of it on top, then what people read.

    `files` is where each split's files lie; `facts` are lines of their own.
    """
    from huggingface_hub import DatasetCard, DatasetCardData  # a second to import

    licenses = Counter(license_of(place.get("license")) for one in pictures for place in one.origins)
    splits = sorted({SPLITS[one.split] for one in pictures}, key=list(SPLITS.values()).index)
    data = DatasetCardData(
        license=sorted(licenses) if len(licenses) != 1 else next(iter(licenses)),
        pretty_name=title,
        task_categories=["text-to-image"],
        tags=["gesso"],
        size_categories=[size_category(len(pictures))],
        configs=[
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": _patterns(files[split])} for split in splits],
            }
        ],
    )
    counted = Counter(one.split for one in pictures)
    lines = [
        "---",
        data.to_yaml().strip(),
        "---",
        f"# {build.plain(title)}",
        "",
        "Prepared with gesso: pictures, captions, rights and split of a training set.",
        "",
        *(f"- {name}: {build.plain(value)}" for name, value in facts.items()),
        f"- Pictures: {counted['train']} to train on, {counted['held_out']} held out, {counted['prior']} of the class",
        "",
        "`text` is the caption as training reads it. Rights of each picture stand in `license_spdx`, `license_url`,",
        "`creator`, `source_url`, `retrieved_at`, `attribution`, `rights_basis`, `ai_optout`, `optout_source`; whom to",
        "name stands in ATTRIBUTION.md. Columns that begin with `gesso_` let gesso read the set back as it was.",
        "",
        "These pictures were selected by rules and by people's decisions. Do not use models trained on them to pass",
        "off pictures of real people as real.",
        "",
    ]
    return str(DatasetCard("\n".join(lines), ignore_metadata_errors=False))


def _patterns(paths: Sequence[str]) -> str | list[str]:
    return list(paths) if len(paths) > 1 else paths[0]


def license_of(spdx: str | None) -> str:
    """A licence as the hub has it: its id in small letters, `other` or `unknown`."""
    if spdx is None:
        return "unknown"
    named = spdx.lower()
    return named if named.startswith(KNOWN_LICENSES) else "other"


def size_category(count: int) -> str:
    """The hub's word for how many there are."""
    steps = ["n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M"]
    return next(
        (word for word, most in zip(steps, (10**3, 10**4, 10**5, 10**6, 10**7), strict=True) if count < most), "n>10M"
    )
