import json

import pytest

from pipeline.errors import InputError
from pipeline.settings import Source
from pipeline.sources import kohya
from pipeline.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace.create(tmp_path / "workspace")


def put(path, text="bytes"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def scan(path, workspace, root=None, **settings):
    rows = kohya.scan(Source(kind="kohya", path=path, **settings), 0, workspace)
    return {row["origin"].removeprefix(f"{root or path}/"): row for row in rows}


def said(row):
    return row["repeats"], row["trigger"], row["class"], row["sidecar"], row["split"]


@pytest.mark.parametrize("below", ["", "img/"])
def test_folders_say_repeats_trigger_and_class(tmp_path, workspace, below):
    root = tmp_path / "set"
    put(root / f"{below}10_sks big dog" / "a.png", "a")
    put(root / f"{below}10_sks big dog" / "a.txt", "a dog on grass")
    put(root / f"{below}10_sks big dog" / "deep" / "b.png", "b")
    put(root / f"{below}2_cat" / "c.png", "c")
    put(root / f"{below}2_cat" / "c.caption", "a cat")
    put(root / f"{below}notes" / "d.png", "d")
    rows = scan(root, workspace)
    assert said(rows[f"{below}10_sks big dog/a.png"]) == (10, "sks", "big dog", "a dog on grass", None)
    assert said(rows[f"{below}10_sks big dog/deep/b.png"]) == (10, "sks", "big dog", "sks big dog", None)
    assert said(rows[f"{below}2_cat/c.png"]) == (2, None, "cat", "a cat", None)
    assert rows[f"{below}notes"]["error"].startswith("not_followed: ")
    assert len(rows) == 4


def test_class_pictures_lie_below_reg_and_the_recipe_goes_before_names(tmp_path, workspace):
    put(tmp_path / "set" / "reg" / "1_old dog" / "a.png", "a")
    put(tmp_path / "set" / "img" / "5_sks dog" / "b.png", "b")
    rows = scan(tmp_path / "set", workspace)
    assert said(rows["reg/1_old dog/a.png"]) == (1, None, "old dog", "old dog", "prior")
    rows = scan(tmp_path / "set", workspace, trigger="zwx", **{"class": "hound"})
    assert said(rows["img/5_sks dog/b.png"]) == (5, "zwx", "hound", "sks dog", None)


def test_a_subset_itself_may_be_named(tmp_path, workspace):
    put(tmp_path / "3_sks dog" / "a.png", "a")
    assert said(scan(tmp_path / "3_sks dog", workspace)["a.png"]) == (3, "sks", "dog", "sks dog", None)


def test_a_dataset_toml(tmp_path, workspace):
    put(tmp_path / "one" / "a.png", "a")
    put(tmp_path / "one" / "a.cap", "from beside")
    put(tmp_path / "two" / "b.png", "b")
    put(tmp_path / "two" / "c.png", "c")
    put(tmp_path / "reg" / "d.png", "d")
    put(tmp_path / "meta.json", json.dumps({"two/b.png": {"caption": "told"}, "c": {"tags": "1cat, grass"}}))
    toml = put(
        tmp_path / "set.toml",
        """
        [general]
        caption_extension = ".cap"
        shuffle_caption = true
        [[datasets]]
        resolution = 512
        num_repeats = 4
          [[datasets.subsets]]
          image_dir = "one"
          class_tokens = "sks dog"
          [[datasets.subsets]]
          image_dir = "two"
          num_repeats = 7
          metadata_file = "meta.json"
        [[datasets]]
          [[datasets.subsets]]
          image_dir = "reg"
          is_reg = true
          class_tokens = "dog"
        """,
    )
    rows = scan(toml, workspace, tmp_path)
    assert {name: said(row) for name, row in rows.items()} == {
        "one/a.png": (4, "sks", "dog", "from beside", None),
        "two/b.png": (7, None, None, "told", None),
        "two/c.png": (7, None, None, "1cat, grass", None),
        "reg/d.png": (1, None, "dog", "dog", "prior"),
    }
    known = kohya.known(Source(kind="kohya", path=toml), workspace)
    assert sorted(known) == sorted((row["origin"], row["sample_id"]) for row in rows.values())


TWO = """
[[datasets]]
resolution = 512
  [[datasets.subsets]]
  image_dir = "one"
  num_repeats = 2
  class_tokens = "sks dog"
  conditioning_data_dir = "masks of one"
[[datasets]]
resolution = 768
  [[datasets.subsets]]
  image_dir = "one"
  num_repeats = 3
  class_tokens = "{}"
"""


def test_a_toml_of_two_resolutions_names_its_pictures_once_with_their_masks(tmp_path, workspace):
    put(tmp_path / "one" / "a.png", "a")
    put(tmp_path / "masks of one" / "a.png", "mask")
    rows = scan(put(tmp_path / "set.toml", TWO.format("sks dog")), workspace, tmp_path)
    assert set(rows) == {"one/a.png", "masks of one/a.png"}
    assert said(rows["one/a.png"]) == (3, "sks", "dog", "sks dog", None)
    assert rows["one/a.png"]["mask"] == rows["masks of one/a.png"]["sample_id"]
    assert rows["masks of one/a.png"]["mask_of"] == str(tmp_path / "one" / "a.png")
    with pytest.raises(InputError, match="different things of one image_dir"):
        scan(put(tmp_path / "set.toml", TWO.format("zwx dog")), workspace, tmp_path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[general", "cannot be read"),
        ("datasets = 3", "cannot be read"),
        ("[general]", "there is no folder <repeats>"),
        ('[[datasets]]\n[[datasets.subsets]]\nimage_dir = "nowhere"', "no such image_dir"),
        (
            '[[datasets]]\n[[datasets.subsets]]\nimage_dir="."\nconditioning_data_dir="x"',
            "no such conditioning_data_dir",
        ),
        ('[[datasets]]\n[[datasets.subsets]]\nimage_dir = "."\nnum_repeats = "many"', "cannot be read"),
    ],
)
def test_a_toml_that_cannot_be_read_is_refused(tmp_path, workspace, text, problem):
    with pytest.raises(InputError, match=problem):
        kohya.check(Source(kind="kohya", path=put(tmp_path / "set.toml", text)), 0)


def test_a_folder_without_subsets_is_refused(tmp_path):
    put(tmp_path / "0_never" / "a.png")
    with pytest.raises(InputError, match=r"sources\.2\.path: there is no folder <repeats>"):
        kohya.check(Source(kind="kohya", path=tmp_path), 2)
