from pathlib import Path

from pipeline.sources import _masks

ROOT, MASKS = Path("photos"), Path("masks")


def of(*names, folder=None):
    return _masks.of(names, ROOT, folder)


def test_a_mask_beside_its_picture_is_known_by_its_name():
    found = of("photos/a.jpg", "photos/a-masklabel.png", "photos/b/c.d.webp", "photos/b/c.d.mask.png", "photos/e.png")
    assert found == {"photos/a-masklabel.png": "photos/a.jpg", "photos/b/c.d.mask.png": "photos/b/c.d.webp"}


def test_a_folder_of_masks_has_them_where_their_pictures_are():
    names = ["photos/a.jpg", "photos/b/a.jpg", "masks/b/a.png", "masks/lone.png"]
    assert of(*names, folder=MASKS) == {"masks/b/a.png": "photos/b/a.jpg", "masks/lone.png": None}
    assert of(*names) == {}


def test_a_folder_of_masks_may_lie_among_the_pictures():
    found = of("photos/a.jpg", "photos/masks/a.png", folder=ROOT / "masks")
    assert found == {"photos/masks/a.png": "photos/a.jpg"}


def test_a_mask_without_its_picture_belongs_to_none():
    assert of("photos/a-masklabel.png", "photos/other.png") == {"photos/a-masklabel.png": None}


def test_a_mask_may_have_no_ending():
    assert of("photos/a.jpg", "photos/a-masklabel") == {"photos/a-masklabel": "photos/a.jpg"}
