import json

import pytest

from pipeline import plugins
from pipeline.recipe import Recipe


@pytest.mark.parametrize("kind", plugins.KINDS)
def test_list(kind, gesso):
    assert all(f"{name}: " in gesso("list", kind).stdout for name in plugins.names(kind))
    assert [one["name"] for one in json.loads(gesso("list", kind, "--json").stdout)] == plugins.names(kind)


def test_the_schema_is_one_that_editors_know(gesso):
    schema = json.loads(gesso("recipe", "schema").stdout)
    assert schema == Recipe.model_json_schema()
    assert schema["properties"]["train"]
    assert schema["additionalProperties"] is False


def test_pictures_to_try_things_on(gesso, tmp_path):
    assert gesso("starter", "pictures", "--to", "some", "--count", "2").exit_code == 0
    names = sorted(path.name for path in (tmp_path / "some").iterdir())
    assert names == ["00000.png", "00000.txt", "00001.png", "00001.txt"]
    again = gesso("starter", "pictures", "--to", "some", "--count", "2")
    assert again.exit_code == 2
    assert "Traceback" not in again.output


def test_a_tiny_sdxl_to_try_things_on(gesso, tmp_path):
    assert gesso("starter", "sdxl", "--to", "xl").exit_code == 0
    assert (tmp_path / "xl" / "text_encoder_2" / "model.safetensors").is_file()
    again = gesso("starter", "sdxl", "--to", "xl")
    assert (again.exit_code, "Traceback" in again.output) == (2, False)


def test_doctor_tells_a_person_and_a_script(gesso, tmp_path):
    told = gesso("doctor")
    assert (told.exit_code, told.stdout.splitlines()[-1]) == (0, "ready")
    found = json.loads(gesso("doctor", "--json").stdout)
    assert found["ready"] is True
    assert {one["state"] for one in found["findings"]} <= {"ok", "note"}
    (tmp_path / "file").write_text("mine")
    told = gesso("doctor", "-w", "file/w")
    assert (told.exit_code, told.stdout.splitlines()[-1]) == (1, "1 to mend before a run")


def test_lavis_that_cannot_be_installed_is_told_in_a_sentence(gesso, monkeypatch):
    from pipeline.lavis import environment

    monkeypatch.setattr(environment, "PYTHON", (3, 0))
    refused = gesso("lavis", "install")
    assert refused.exit_code == 2
    assert "caption.captioner: LAVIS has no packages for Python 3" in refused.stderr
