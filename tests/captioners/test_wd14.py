import csv

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pipeline import keeping
from pipeline.captioners import wd14
from pipeline.errors import ModelError

SIDE = 16
NAMES = [("general", 9), ("bluish_thing", 0), ("red_thing", 0), ("white_rim", 0), ("o_o", 0), ("miku_(red)", 4)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tagger of one layer: how blue, green and red a picture is on the average, and how white its upper edge."""
    folder = tmp_path_factory.mktemp("tagger")
    mean = numpy_helper.from_array(
        # rows: mean of blue, green, red, and of the upper edge, each 0 to 1; columns: tags
        np.array([[0, 9, -9, 0, 0, 0], [0, -9, -9, 0, 0, 0], [0, -9, 9, 0, 0, 9], [0, 0, 0, 9, 0, 0]], np.float32),
        "weights",
    )
    bias = numpy_helper.from_array(np.array([9, -3, -3, -7, 2, -5], np.float32), "bias")
    scale = numpy_helper.from_array(np.array(1 / 255, np.float32), "scale")
    places = {"starts": [0], "ends": [1], "axes": [1], "all": [1, 2], "every": [1, 2, 3], "last": [1]}
    edge = [numpy_helper.from_array(np.array(one, np.int64), name) for name, one in places.items()]
    nodes = [
        helper.make_node("Mul", ["pixels", "scale"], ["scaled"]),
        helper.make_node("ReduceMean", ["scaled", "all"], ["colors"], keepdims=0),
        helper.make_node("Slice", ["scaled", "starts", "ends", "axes"], ["rim"]),
        helper.make_node("ReduceMean", ["rim", "every"], ["white"], keepdims=0),
        helper.make_node("Unsqueeze", ["white", "last"], ["whites"]),
        helper.make_node("Concat", ["colors", "whites"], ["seen"], axis=1),
        helper.make_node("Gemm", ["seen", "weights", "bias"], ["raw"]),
        helper.make_node("Sigmoid", ["raw"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes, "tagger",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", len(NAMES)])],
        [mean, bias, scale, *edge],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(made)
    onnx.save(made, folder / wd14.MODEL)
    with (folder / wd14.TAGS).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["tag_id", "name", "category", "count"])
        writer.writerows([[place, name, category, 10] for place, (name, category) in enumerate(NAMES)])
    return str(folder)


def plain(color, height=20, width=20):
    return {"pixels": np.full((height, width, 3), color, np.uint8)}


RED, BLUE = (255, 0, 0), (0, 0, 255)


def test_it_tags_by_channel_and_category_the_surest_first(model):
    found = wd14.caption([plain(RED), plain(BLUE), plain(RED)], wd14.Params(model=model, batch_size=2))
    assert found == ["miku (red), red thing, o_o", "bluish thing, o_o", "miku (red), red thing, o_o"]


def test_limits_by_category_count_and_spelling(model):
    assert wd14.caption([plain(RED)], wd14.Params(model=model, character=0.99, underscores=True)) == ["red_thing, o_o"]
    assert wd14.caption([plain(BLUE)], wd14.Params(model=model, general=0.9)) == ["bluish thing"]
    assert wd14.caption([plain(RED)], wd14.Params(model=model, most=1)) == ["miku (red)"]
    assert wd14.caption([], wd14.Params(model=model)) == []


def test_a_wide_picture_is_padded_with_white_not_squeezed(model):
    (wide,) = wd14.caption([plain(BLUE, height=10, width=40)], wd14.Params(model=model))
    assert "white rim" in wide
    assert "white rim" not in wd14.caption([plain(BLUE)], wd14.Params(model=model))[0]
    seen = wd14.ready(plain((10, 20, 30), height=8, width=16)["pixels"], 16)
    assert (seen.shape, seen.dtype) == ((16, 16, 3), np.float32)
    assert (seen[:4] == 255).all()
    assert (seen[4:12] == [30, 20, 10]).all()
    assert (seen[12:] == 255).all()


def test_weights_are_the_model_and_its_words(model, tmp_path):
    params = wd14.Params(model=model)
    assert len(wd14.weights(params)) == 64
    for name in (wd14.MODEL, wd14.TAGS):
        (tmp_path / name).write_bytes((wd14._locate(params) / name).read_bytes())
    moved = wd14.Params(model=str(tmp_path))
    assert wd14.weights(moved) == wd14.weights(params)
    assert moved.model_dump() == params.model_dump()
    with (tmp_path / wd14.TAGS).open("a") as file:
        file.write("6,other,0,1\n")
    assert wd14.weights(moved) != wd14.weights(params)
    with pytest.raises(ModelError, match="no tagger of the WD14 family"):
        wd14.caption([plain(RED)], moved)
    (tmp_path / wd14.TAGS).write_text("id,word\n1,red\n")
    keeping.release()
    with pytest.raises(ModelError, match=r"selected_tags\.csv cannot be read"):
        wd14.caption([plain(RED)], moved)
    (tmp_path / wd14.TAGS).unlink()
    with pytest.raises(ModelError, match=r"has no selected_tags\.csv"):
        wd14.weights(moved)
    with pytest.raises(ModelError, match=r"caption\.model.*no such folder"):
        wd14.weights(wd14.Params(model="/no/such/tagger"))


def test_provenance_names_model_and_unusual_settings():
    assert (
        wd14.provenance(wd14.Params(model="me/tagger", revision="abc", general=0.5)) == "wd14 me/tagger@abc general=0.5"
    )
