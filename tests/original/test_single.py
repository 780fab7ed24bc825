import shutil
import subprocess
import sys

import pytest

from pipeline import plan
from pipeline.errors import ModelError, RecipeError
from pipeline.original import kinds, pack, single
from pipeline.recipe import parse
from pipeline.run import Run
from pipeline.workspace import Workspace


def test_a_file_is_unpacked_once_and_found_again_without_torch(file, base, tmp_path):
    first = single.ensure(str(file), tmp_path, config=str(base))
    stamp = (first / "model_index.json").stat().st_mtime_ns
    code = (
        "import sys; from pathlib import Path; from pipeline.original import single; "
        f"print(single.ensure({str(file)!r}, Path({str(tmp_path)!r}), config={str(base)!r}), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{first} False\n"
    assert (first / "model_index.json").stat().st_mtime_ns == stamp


def test_all_that_decides_a_folder_names_it(file, base, tmp_path):
    same = single.wanted(str(file), config=str(base))
    moved = shutil.copy(file, tmp_path / "other.safetensors")
    place = single.place(same, tmp_path)
    assert single.place(single.wanted(str(moved), config=str(base)), tmp_path) == place
    other = "epsilon" if same.prediction == "v_prediction" else "v_prediction"
    found = {place, single.place(single.wanted(str(file), config=str(base), prediction=other), tmp_path)}
    found.add(single.place(single.wanted(str(file), prediction=same.prediction), tmp_path))
    words = shutil.copytree(base, tmp_path / "words")
    told = words / "tokenizer" / "tokenizer_config.json"
    told.write_text(told.read_text().replace("77", "40"))
    found.add(single.place(single.wanted(str(file), config=str(words)), tmp_path))
    assert len(found) == 4


def test_where_nothing_says_what_stable_diffusion_2_predicts_it_is_asked_for(sd2, tmp_path):
    path = tmp_path / "v2.safetensors"
    pack.write(sd2, path, header={"modelspec.prediction_type": "", "modelspec.architecture": ""})
    with pytest.raises(ModelError, match=r"base_model\.prediction: nothing says what this model .* predicts.*v2\.yaml"):
        single.wanted(str(path))
    assert single.wanted(str(path), prediction="v_prediction").prediction == "v_prediction"
    assert single.wanted(str(path), config=str(sd2)).prediction == "epsilon"


@pytest.mark.parametrize("gone", ["scheduler/scheduler_config.json", "vae/config.json", "tokenizer"])
def test_a_folder_of_configurations_has_to_be_whole_and_of_the_same_kind(file, base, sdxl, sd1, gone, tmp_path):
    other = shutil.copytree(base, tmp_path / "like")
    shutil.rmtree(other / gone) if (other / gone).is_dir() else (other / gone).unlink()
    with pytest.raises(ModelError, match=rf"base_model\.config: the folder has no {gone}"):
        single.wanted(str(file), config=str(other))
    if base == sdxl:
        with pytest.raises(ModelError, match=r"base_model\.config: the folder has no text_encoder_2"):
            single.wanted(str(file), config=str(sd1))


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "pictures").mkdir()
    sources = [{"path": str(tmp_path / "pictures")}]
    return lambda **base: parse({"name": "x", "sources": sources, "base_model": base})


def test_a_runs_base_model_is_a_folder_of_its_workspace(recipe, file, base, tmp_path):
    asked = recipe(id=str(file), config=str(base))
    plan.check_all(asked, ("trainset",))
    run = Run.create(Workspace.create(tmp_path / "w"), asked, command="a test")
    place = run.located.base_model.id
    assert place.startswith(str(tmp_path / "w" / "bases"))
    assert (run.located.base_model.config, run.recipe.base_model.id) == (None, str(file))
    assert Run.open(run.workspace, run.id).recipe == asked
    plan.check_all(run.located, ("trainset",))


def test_what_is_wrong_with_a_file_is_told_before_anything_is_done(recipe, file, base, tmp_path):
    with pytest.raises(ModelError, match="as published"):
        plan.check_all(recipe(id=str(file), prediction="epsilon"), ("trainset",))
    (tmp_path / "cut.safetensors").write_bytes(file.read_bytes()[:999])
    with pytest.raises(ModelError, match="cut off"):
        plan.check(recipe(id=str(tmp_path / "cut.safetensors")))
    with pytest.raises(ModelError, match="there is no such folder or file"):
        plan.check(recipe(id=str(tmp_path / "none.safetensors")))
    for told in ({"prediction": "epsilon"}, {"config": str(base)}):
        with pytest.raises(RecipeError, match=r"base_model\.(prediction|config): this is told of a single"):
            plan.check(recipe(id=str(base), **told))


def test_a_kind_is_known_by_its_unet(base):
    from pipeline.original import parts

    assert kinds.of_unet(parts.config(base, "unet")).name == ("sd1" if base.name == "sd" else base.name)
