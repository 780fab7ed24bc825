"""A prepared set, exported and read back: made by hand, so that nothing slow is imported."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from pipeline import plugins
from pipeline.exports._picture import Picture
from pipeline.manifest import RIGHTS

HOSTILE = 'a "quoted", comma\nline, \u2028 and =1+1 </script> \u202e \U0001f300'


def png(seed, size=(40, 30)):
    data = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


def place(**told):
    return {**dict.fromkeys(RIGHTS), "class": "dog", "trigger": "sks", "repeats": 3, "bytes": 900, **told}


@pytest.fixture(scope="session")
def made():
    """Six pictures of three splits, with rights of all kinds, and their bytes by sample id."""
    told = [
        ("train", "a red kite", [place(license="CC-BY-4.0", creator="Anna", ai_optout=False)]),
        ("train", HOSTILE, [place(license="CC0-1.0", attribution=HOSTILE, retrieved_at="2026-01-31T09:30:00+00:00")]),
        ("train", "", [place(license="LicenseRef-Own", trigger=None, repeats=1, **{"class": "a/b: c"})]),
        ("held_out", "a boat", [place(license="CC0-1.0"), place(license="CC-BY-4.0", source_url="https://e.org/b")]),
        ("held_out", "two boats", [place(license="CC0-1.0", rights_basis="consent")]),
        ("prior", "a dog", [place(license="CC0-1.0", trigger=None, repeats=1)]),
    ]
    pictures, data = [], {}
    for seed, (split, body, origins) in enumerate(told):
        mask = png(100 + seed) if seed == 1 else None
        for one in (png(seed), mask):
            data |= {hashlib.sha256(one).hexdigest(): one} if one else {}
        first = origins[0]
        words = " ".join(word for word in (first["trigger"], first["class"]) if word)
        pictures.append(
            Picture(
                sample_id=hashlib.sha256(png(seed)).hexdigest(),
                pixel_id=f"pixels-{seed}",
                format="PNG",
                split=split,
                body=body,
                caption=f"{words}, {body}" if body else words,
                origins=tuple({**origin, "origin": f"/secret/{seed}.png"} for origin in origins),
                mask=mask and hashlib.sha256(mask).hexdigest(),
            )
        )
    return pictures, data


@pytest.fixture
def write(made, tmp_path):
    """Writes the set in a format; the folder."""

    def write(name):
        pictures, data = made
        folder, told = tmp_path / name, []
        folder.mkdir()
        module = plugins.load("exports", name, field="x")
        module.write(pictures, folder, data.__getitem__, lambda *step: told.append(step))
        assert told[-1] == (len(pictures), len(pictures))
        assert told == sorted(told)
        return folder

    return write


def clean(text):
    """A caption as it is read: without white space around it."""
    return (text or "").strip() or None


@pytest.fixture
def same(made):
    """Sees that rows of origins say of each picture what was exported: bytes, caption, rights, split, mask."""

    def same(rows):
        pictures, _ = made
        found = {}
        for row in rows:
            if not row["mask_of"]:
                assert row["error"] is None, row
                found.setdefault(row["sample_id"], []).append(row)
        assert set(found) == {one.sample_id for one in pictures}
        for one in pictures:
            places = sorted(found[one.sample_id], key=lambda row: row["origin"])
            assert [{name: row[name] for name in RIGHTS} for row in places] == [
                {name: clean(origin[name]) if isinstance(origin[name], str) else origin[name] for name in RIGHTS}
                for origin in one.origins
            ]
            for row in places:
                first = one.origins[0]
                assert (row["class"], row["trigger"], row["repeats"]) == (
                    first["class"],
                    first["trigger"],
                    first["repeats"],
                )
                assert (row["split"], row["sidecar"]) == (one.split, clean(one.body))
            assert places[0]["mask"] == one.mask

    return same
