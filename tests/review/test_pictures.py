import io

from PIL import Image

from pipeline.review.pictures import folder_of, place, save
from pipeline.review.rows import Proposal, review_rows


def test_pictures_lie_beside_the_file_as_jpeg(tmp_path):
    made = [
        Proposal(sample_id=f"{n:064x}", pixel_id=f"p{n}", origin="x", split="train", body="a cat", source="x")
        for n in (0, 16**48)
    ]
    first, second = review_rows(made, {})
    buffer = io.BytesIO()
    Image.new("RGBA", (8, 4), "red").save(buffer, "WEBP")
    pictures = {second.sample_id: buffer.getvalue()}
    path = tmp_path / "deep" / "r.csv"
    save(path, [first, second], pictures)
    assert place(path, first, pictures) == ""
    assert place(path, second, pictures) == "r_thumbnails/s-0000000000000001.jpg"
    assert [one.name for one in folder_of(path).iterdir()] == ["s-0000000000000001.jpg"]
    with Image.open(path.parent / place(path, second, pictures)) as image:
        assert (image.format, image.size) == ("JPEG", (8, 4))
