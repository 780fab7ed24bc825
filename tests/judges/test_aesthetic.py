import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from pipeline.errors import ModelError
from pipeline.judges import aesthetic
from pipeline.stage import Tools, ensure
from pipeline.starter.defects import encoded
from pipeline.workspace import Workspace

HEADS = {
    "predictor": {"predictor.weight": (1, 6), "predictor.bias": (1,)},
    "layers": {"layers.0.weight": (4, 6), "layers.0.bias": (4,), "layers.10.weight": (1, 3), "layers.10.bias": (1,)}
    | {"layers.2.weight": (3, 4), "layers.2.bias": (3,)},
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A tiny vision model of drawn weights, without a head."""
    config = CLIPVisionConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        image_size=16,
        patch_size=8,
        projection_dim=6,
    )
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("clip")
    CLIPVisionModelWithProjection(config).save_pretrained(path)
    size = {"height": 16, "width": 16}
    CLIPImageProcessor(size=size, crop_size=size).save_pretrained(path)
    return path


@pytest.mark.parametrize("kind", HEADS)
def test_it_rates_as_the_layers_say(clip, tmp_path, kind):
    torch.manual_seed(1)
    layers = {name: torch.randn(shape) for name, shape in HEADS[kind].items()}
    folder = tmp_path / "model"
    folder.mkdir()
    for path in clip.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    save_file(load_file(clip / "model.safetensors") | layers, folder / "model.safetensors", {"format": "pt"})
    pixels = [np.random.default_rng(at).integers(0, 256, (16, 16, 3), dtype=np.uint8) for at in range(2)]
    workspace, rows = Workspace.create(tmp_path / "w"), []
    for place, one in enumerate(pixels):
        path = workspace.original(f"{place:064x}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(one))
        rows.append({"sample_id": f"{place:064x}"})
    params = aesthetic.Params(model=str(folder))
    stored = ensure(aesthetic, rows, params, Tools(workspace), weights=aesthetic.weights(params))
    found = stored.table()["aesthetic__score"].to_pylist()

    seen = CLIPImageProcessor.from_pretrained(clip)(images=pixels, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        values = CLIPVisionModelWithProjection.from_pretrained(clip).eval()(pixel_values=seen).image_embeds
        values = values / values.norm(dim=1, keepdim=True)
        for name in ("predictor", "layers.0", "layers.2", "layers.10"):
            if f"{name}.weight" in layers:
                values = torch.nn.functional.linear(values, layers[f"{name}.weight"], layers[f"{name}.bias"])
    assert found == pytest.approx(values[:, 0].tolist(), abs=1e-4)


def test_a_clip_without_a_head_is_refused(clip):
    with pytest.raises(ModelError, match="no head"):
        aesthetic.head(clip, "x")
