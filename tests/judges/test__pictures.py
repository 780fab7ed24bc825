import pytest

from pipeline.errors import ModelError
from pipeline.judges import _pictures
from pipeline.stage import Tools
from pipeline.starter.defects import encoded
from pipeline.starter.pictures import picture
from pipeline.workspace import Workspace


def test_each_row_has_its_own_answer_and_what_cannot_be_read_its_error(tmp_path):
    tools, rows = Tools(Workspace.create(tmp_path / "w")), []
    for place in range(2 * _pictures.BATCH + 3):
        path = tools.workspace.original(f"{place:064x}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no picture" if place % 5 == 2 else encoded(picture(place, side=16 + place).pixels))
        rows.append({"sample_id": path.name})
    rows.append({"sample_id": "f" * 64})  # its original is gone
    seen = []

    def judge(pictures):
        seen.append(len(pictures))
        return [len(one) for one in pictures]

    found = _pictures.answers(rows, "x__side", judge, tools)
    for place, one in enumerate(found[:-1]):
        if place % 5 == 2:
            assert one["error"].startswith("not_a_picture")
        else:
            assert one == {"x__side": 16 + place}
    assert "error" in found[-1]
    assert max(seen) <= _pictures.BATCH


def test_a_model_that_is_not_there_and_the_starter_are_refused_by_name():
    for name in ("starter", "/no/such/folder"):
        with pytest.raises(ModelError) as caught:
            _pictures.folder_of(name, None, field="judges.nsfw.model")
        assert caught.value.field == "judges.nsfw.model"
