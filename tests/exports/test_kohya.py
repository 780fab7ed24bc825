import json
import tomllib

from pipeline.exports import kohya as kohya_export
from pipeline.settings import Source
from pipeline.sources import kohya
from pipeline.workspace import Workspace


def test_what_was_exported_is_read_back_whole(write, same, tmp_path):
    made = write("kohya")
    workspace = Workspace.create(tmp_path / "w")
    same(kohya.scan(Source(kind="kohya", path=made), 0, workspace))
    # the TOML names all but what is held out
    rows = kohya.scan(Source(kind="kohya", path=made / "dataset.toml"), 0, workspace)
    assert sorted(row["split"] for row in rows if not row["mask_of"]) == ["prior", "train", "train", "train"]


def test_folders_captions_and_configuration_are_as_sd_scripts_wants_them(write, made):
    root = write("kohya")
    pictures, data = made
    folders = {str(path.relative_to(root)) for path in root.glob("*/*")}
    assert folders == {"masks/train", "train/3_sks dog", "train/1_a_b_ c", "held_out/3_sks dog", "reg/1_dog"}
    told = tomllib.loads((root / "dataset.toml").read_text())
    subsets = {one["image_dir"]: one for one in told["datasets"][0]["subsets"]}
    assert set(subsets) == {"train/3_sks dog", "train/1_a_b_ c", "reg/1_dog"}
    assert subsets["train/3_sks dog"]["num_repeats"] == 3
    assert subsets["train/3_sks dog"]["class_tokens"] == "sks dog"
    assert [name for name, one in subsets.items() if one.get("is_reg")] == ["reg/1_dog"]
    captions = json.loads((root / "meta_cap.json").read_text())
    for one in pictures:
        (path,) = [path for path in root.rglob(one.name) if path.relative_to(root).parts[0] != "masks"]
        assert path.read_bytes() == data[one.sample_id]
        assert path.with_suffix(".txt").read_text() == f"{one.caption}\n"
        told = captions.get(str(path.relative_to(root)))
        assert told == ({"caption": one.caption} if one.split == "train" else None)


def test_masks_lie_where_sd_scripts_takes_none_for_a_picture(write, made):
    """It trains on every picture file of an image_dir."""
    root = write("kohya")
    pictures, data = made
    (masked,) = [one for one in pictures if one.mask]
    files = [path for place in ("train", "reg", "held_out") for path in (root / place).rglob("*.png")]
    assert {path.name for path in files} == {one.name for one in pictures}
    mask = root / "masks" / "train" / "3_sks dog" / f"{masked.stem}.png"
    assert mask.read_bytes() == data[masked.mask]
    assert "conditioning_data_dir" not in str(tomllib.loads((root / "dataset.toml").read_text()))


def test_masks_of_all_pictures_are_named_in_the_configuration(made, tmp_path):
    pictures, data = made
    (masked,) = [one for one in pictures if one.mask]
    kohya_export.write([masked], tmp_path, data.__getitem__, lambda *_: None)
    (subset,) = tomllib.loads((tmp_path / "dataset.toml").read_text())["datasets"][0]["subsets"]
    assert subset["conditioning_data_dir"] == "masks/train/3_sks dog"
    rows = kohya.scan(Source(kind="kohya", path=tmp_path / "dataset.toml"), 0, Workspace.create(tmp_path / "w"))
    assert {row["mask"] for row in rows} == {masked.mask, None}
