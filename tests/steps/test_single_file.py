"""A base model that comes as one file is the same base model."""

from pipeline.model_files import STARTER
from pipeline.original import pack
from pipeline.training import weights


def test_what_was_computed_with_its_folder_is_found(finished, further, tmp_path):
    pack.write(STARTER / "sd", tmp_path / "model.safetensors")
    made = further(base_model={"id": str(tmp_path / "model.safetensors"), "config": "starter"}).go()
    assert {name: one.computed for name, one in made.stats.items() if one.computed} == {}
    assert made.run.training == finished.run.training
    assert [one.name for one in made.run.workspace.bases.iterdir()] == [
        made.run.located.base_model.id.rpartition("/")[2]
    ]


def test_a_training_says_which_file_it_began_with(further, tmp_path):
    from pipeline.headers import read

    pack.write(STARTER / "sd", tmp_path / "model.safetensors")
    base = {"id": str(tmp_path / "model.safetensors"), "config": "starter"}
    made = further(base_model=base, train={"steps": 1, "batch_size": 1, "rank": 1}).go()
    told = read(made.training / "weights" / weights.LORA_FILE).metadata
    assert told["gesso_base_model"] == "model.safetensors"
