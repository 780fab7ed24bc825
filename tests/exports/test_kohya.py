import json
import tomllib

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
    assert folders == {"train/3_sks dog", "train/1_a_b_ c", "held_out/3_sks dog", "reg/1_dog"}
    told = tomllib.loads((root / "dataset.toml").read_text())
    subsets = {one["image_dir"]: one for one in told["datasets"][0]["subsets"]}
    assert set(subsets) == {"train/3_sks dog", "train/1_a_b_ c", "reg/1_dog"}
    assert subsets["train/3_sks dog"]["num_repeats"] == 3
    assert subsets["train/3_sks dog"]["class_tokens"] == "sks dog"
    assert [name for name, one in subsets.items() if one.get("is_reg")] == ["reg/1_dog"]
    captions = json.loads((root / "meta_cap.json").read_text())
    for one in pictures:
        (path,) = root.rglob(one.name)
        assert path.read_bytes() == data[one.sample_id]
        assert path.with_suffix(".txt").read_text() == f"{one.caption}\n"
        told = captions.get(str(path.relative_to(root)))
        assert told == ({"caption": one.caption} if one.split == "train" else None)
