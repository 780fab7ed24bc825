import numpy as np
import pytest
import torch
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

from pipeline.errors import ModelError
from pipeline.judges import nsfw
from pipeline.stage import Tools, ensure
from pipeline.starter.defects import encoded
from pipeline.workspace import Workspace


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny ViT of drawn weights with the labels of such a classifier."""
    config = ViTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, image_size=16, patch_size=8
    )
    config.id2label, config.label2id = {0: "normal", 1: "nsfw"}, {"normal": 0, "nsfw": 1}
    torch.manual_seed(0)
    model = ViTForImageClassification(config)
    path = tmp_path_factory.mktemp("vit")
    model.save_pretrained(path)
    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained(path)
    return path


def rows_of(workspace, *contents):
    rows = []
    for place, data in enumerate(contents):
        name = f"{place:064x}"
        path = workspace.original(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        rows.append({"sample_id": name})
    return rows


def test_it_says_what_the_classifier_says_and_remembers(folder, tmp_path):
    rng = np.random.default_rng(0)
    pixels = [rng.integers(0, 256, (16, 16, 3), dtype=np.uint8) for _ in range(3)]
    workspace = Workspace.create(tmp_path / "w")
    rows = rows_of(workspace, *map(encoded, pixels), b"no picture")
    params, tools = nsfw.Params(model=str(folder)), Tools(workspace)
    found = ensure(nsfw, rows, params, tools, weights=nsfw.weights(params)).table().to_pylist()

    model = ViTForImageClassification.from_pretrained(folder).eval()
    seen = ViTImageProcessor.from_pretrained(folder)(images=pixels, return_tensors="pt")
    with torch.no_grad():
        wanted = model(**seen).logits.softmax(dim=1)[:, 1]
    assert [row["nsfw__score"] for row in found[:3]] == pytest.approx(wanted.tolist(), abs=1e-5)
    assert found[3]["error"].startswith("not_a_picture")
    ensure(nsfw, rows, params, tools, weights=nsfw.weights(params))
    assert tools.stats[-1].computed == 0


@pytest.mark.parametrize(
    ("labels", "unsafe"),
    [
        (["normal", "nsfw"], [1]),
        (["nsfw", "sfw"], [0]),
        (["drawings", "hentai", "neutral", "porn", "sexy"], [1, 3, 4]),
        (["safe", "gore"], [1]),
    ],
)
def test_labels_of_known_classifiers_are_understood(labels, unsafe):
    assert nsfw.unsafe_labels(dict(enumerate(labels)), "x") == unsafe


@pytest.mark.parametrize("labels", [["cat", "dog"], ["LABEL_0", "LABEL_1"], ["nsfw"]])
def test_a_classifier_of_something_else_is_refused(labels):
    with pytest.raises(ModelError, match="safe from unsafe"):
        nsfw.unsafe_labels(dict(enumerate(labels)), "x")


def test_the_starter_has_none():
    with pytest.raises(ModelError, match="no judges"):
        nsfw.weights(nsfw.Params(model="starter"))
