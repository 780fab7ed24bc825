"""Files of stages that a disk has damaged: the next run sets them aside, says so, and ends as an undisturbed one."""

import shutil

import pyarrow.parquet as pq
import pytest

from flows.attempt import attempt
from pipeline.plan import ALL_STEPS
from pipeline.recipe import parse
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.starter import collection
from pipeline.workspace import Workspace

TABLES = ("origins", "samples", "edges", "ledger", "kept", "captions", "reviewed", "views", "metrics", "stable_loss")


def ran(root):
    """Take a recipe through all steps: what there is then, and what was said."""
    recipe = parse(
        {
            "name": "damage",
            "sources": [{"path": str(root / "pictures"), "rights": {"license": "CC0-1.0"}}],
            "rights": {"allow": ["CC0-1.0"]},
            "dedup": {"near": {"distance": 0, "colour": 0}},
            "caption": {"captioner": "blip", "model": "starter", "prefer_sidecar": False},
            "buckets": {"resolution": 32, "step": 8},
            "train": {"steps": 2, "batch_size": 2, "checkpoint_every": 1, "rank": 2},
            "evaluate": {"prompts": ["a circle"], "seeds": [1], "steps": 1},
        }
    )
    run, said = Run.create(Workspace.create(root / "w"), recipe, command="a test"), []
    for step in ALL_STEPS:
        ended = attempt(run, step, Tools(run.workspace, say=said.append))
        assert ended.exit_code == 0, ended
    found = {name: sorted(map(repr, run.rows(name))) for name in TABLES}
    weights = {path.name: path.read_bytes() for path in root.glob("w/trainings/*/weights/*.safetensors")}
    return {**found, **weights, "trainset": run.json("trainset")}, said


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    """Turn one bit of the first column that the stage adds (named stage__column), in the last of its bytes."""
    group = pq.read_metadata(path).row_group(0)
    columns = [group.column(place) for place in range(group.num_columns)]
    column = next((one for one in columns if "__" in one.path_in_schema), columns[0])
    start = column.dictionary_page_offset or column.data_page_offset
    data = bytearray(path.read_bytes())
    data[start + column.total_compressed_size - 1] ^= 1
    path.write_bytes(data)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing has disturbed: its folder and what it made."""
    root = tmp_path_factory.mktemp("whole")
    collection.plain(root / "pictures", count=5)
    return root, ran(root)[0]


@pytest.mark.parametrize("damage", [cut, flip])
def test_a_damaged_file_of_each_stage_is_set_aside_and_made_again(whole, damage):
    root, made = whole
    shutil.rmtree(root / "w" / "trainings")  # so that latents and texts are read again
    shards = sorted(path for name in ("tables", "cache") for path in (root / "w" / name).rglob("*.parquet"))
    assert len({path.parent for path in shards}) == len(shards) >= 14
    for path in shards:
        damage(path)
    damaged = {path: path.read_bytes() for path in shards}
    again, said = ran(root)
    assert [name for name in made if again[name] != made[name]] == []
    for path, data in damaged.items():
        assert len([text for text in said if text.startswith(f"{path} is damaged; it is now ")]) == 1
        assert path.exists()
        aside = sorted(path.parent.glob(f"{path.name}.damaged*"))[-1]
        assert aside.read_bytes() == data
    assert not [text for text in ran(root)[1] if "damaged" in text]
