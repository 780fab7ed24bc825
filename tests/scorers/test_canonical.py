import io

import numpy as np
from PIL import Image

from pipeline.imaging import decode, encode_png
from pipeline.scorers import canonical
from pipeline.starter.pictures import picture


def test_it_is_what_decode_found():
    out = io.BytesIO()
    Image.fromarray(picture(1).pixels[:40]).convert("RGBA").save(out, "PNG")
    decoded = decode(out.getvalue(), name="a.jpg")
    assert canonical.measure(decoded, canonical.Params()) == {
        "canonical__pixel_id": decoded.pixel_id,
        "canonical__format": "PNG",
        "canonical__width": 64,
        "canonical__height": 40,
        "canonical__notes": "extension says jpg, content is PNG",
    }


def test_several_notes_are_one_text_and_none_is_an_empty_one():
    out = io.BytesIO()
    Image.new("RGBA", (4, 4), (0, 0, 0, 9)).save(out, "PNG")
    notes = canonical.measure(decode(out.getvalue(), name="a.gif"), canonical.Params())["canonical__notes"]
    assert notes == "extension says gif, content is PNG; alpha flattened on white"
    plain = decode(encode_png(np.zeros((4, 4, 3), np.uint8)))
    assert canonical.measure(plain, canonical.Params())["canonical__notes"] == ""
