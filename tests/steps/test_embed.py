import numpy as np
import pytest

from pipeline.errors import ModelError
from pipeline.stage import Tools, ensure
from pipeline.starter.defects import encoded
from pipeline.starter.pictures import picture
from pipeline.steps import embed
from pipeline.workspace import Workspace


def test_pictures_become_unit_vectors_and_what_is_none_a_row_with_an_error(tmp_path):
    workspace = Workspace.create(tmp_path / "w")
    contents = {"a" * 64: encoded(picture(1).pixels), "b" * 64: encoded(picture(2).pixels), "c" * 64: b"no picture"}
    for name, data in contents.items():
        path = workspace.original(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    params = embed.Params()
    rows = [{"sample_id": name} for name in contents]
    stored = ensure(embed, rows, params, Tools(workspace), weights=embed.weights(params)).table().to_pylist()
    vectors = np.array([row["embed__vector"] for row in stored[:2]])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] < 0.9999
    assert stored[2]["embed__vector"] is None
    assert stored[2]["error"].startswith("not_a_picture")


def test_a_clip_that_is_not_there_says_where_it_was_named():
    with pytest.raises(ModelError) as caught:
        embed.weights(embed.Params(clip="/no/such/folder"))
    assert caught.value.field == "--clip"
