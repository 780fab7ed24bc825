"""kohya's folders: `<repeats>_<trigger> <class>` with a .txt beside each picture, and the same as a dataset TOML.

train/10_sks dog/…     what is trained on
reg/1_dog/…            class pictures
held_out/1_sks dog/…   what is kept from training, and so named in no configuration
masks/train/10_sks …   masks by the names of their pictures: sd-scripts would train on what lies beside them
dataset.toml           for sd-scripts' --dataset_config
meta_cap.json          for its fine-tuning scripts: caption by picture
metadata.jsonl         rights and all else; in each folder, trainers pass it over
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from pipeline.exports._picture import SPLITS, Picture, Progress, Read, metadata

DESCRIPTION = "folders <repeats>_<trigger> <class> with .txt captions, dataset.toml and meta_cap.json, for sd-scripts"
PLACES = {"train": "train", "prior": "reg", "held_out": "held_out"}
MASKS = "masks"
"""Where `sources.kohya` finds them again."""
FILES = {SPLITS[split]: (f"{place}/**",) for split, place in PLACES.items()}


def write(pictures: Sequence[Picture], folder: Path, read: Read, progress: Progress) -> None:
    """Write the folders, and what tells trainers of them."""
    subsets: dict[tuple[str, str], list[Picture]] = defaultdict(list)
    for one in sorted(pictures, key=lambda one: one.sample_id):
        subsets[one.split, subset_name(one)].append(one)
    told, done = {}, 0
    for (split, name), some in sorted(subsets.items()):
        place = folder / PLACES[split] / name
        place.mkdir(parents=True)
        with (place / "metadata.jsonl").open("w", encoding="utf-8") as lines:
            for one in some:
                (place / one.name).write_bytes(read(one.sample_id))
                (place / f"{one.stem}.txt").write_text(f"{one.caption}\n", encoding="utf-8")
                if one.mask:
                    masks = folder / MASKS / PLACES[split] / name
                    masks.mkdir(parents=True, exist_ok=True)
                    (masks / f"{one.stem}.png").write_bytes(read(one.mask))
                lines.write(json.dumps({"file_name": one.name, **metadata(one)}, ensure_ascii=False) + "\n")
                if split == "train":
                    told[f"{PLACES[split]}/{name}/{one.name}"] = {"caption": one.caption}
                done += 1
                progress(done, len(pictures))
    (folder / "meta_cap.json").write_text(json.dumps(told, indent=1, ensure_ascii=False), encoding="utf-8")
    (folder / "dataset.toml").write_text(_toml(subsets), encoding="utf-8")


def subset_name(one: Picture) -> str:
    """The folder of a picture: how often it is seen in an epoch, its trigger and its class."""
    first = one.origins[0]
    words = " ".join(word for word in (first["trigger"], first["class"]) if word) or "pictures"
    safe = "".join(letter if letter.isprintable() and letter not in '/\\:*?"<>|' else "_" for letter in words)
    return f"{first['repeats']}_{safe.strip(' .')[:100] or 'pictures'}"


def _toml(subsets: dict[tuple[str, str], list[Picture]]) -> str:
    trained = {key: some for key, some in subsets.items() if key[0] != "held_out"}
    # sd-scripts takes masks for all pictures or for none, and has no class pictures beside them
    masked = all(split == "train" and all(one.mask for one in some) for (split, _), some in trained.items())
    lines = [
        "# For sd-scripts: --dataset_config dataset.toml, from this folder.",
        "[general]",
        'caption_extension = ".txt"',
        "",
        "[[datasets]]",
    ]
    for (split, name), some in sorted(trained.items()):
        place = f"{PLACES[split]}/{name}"
        lines += [
            "",
            "  [[datasets.subsets]]",
            f"  image_dir = {json.dumps(place, ensure_ascii=False)}",
            f"  num_repeats = {some[0].origins[0]['repeats']}",
            f"  class_tokens = {json.dumps(name.partition('_')[2], ensure_ascii=False)}",
            *(["  is_reg = true"] if split == "prior" else []),
        ]
        if any(one.mask for one in some):
            named = f"conditioning_data_dir = {json.dumps(f'{MASKS}/{place}', ensure_ascii=False)}"
            lines.append(f"  {named}" if masked else f"  # only with masks for all pictures: {named}")
    return "\n".join(lines) + "\n"
