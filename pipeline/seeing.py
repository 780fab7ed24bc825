"""Measures what a method trains on pixels (VAE, CLIP, BLIP) on pictures of the training set, one value a picture."""

from typing import Any

from pipeline.manifest import Row
from pipeline.metrics import example_loss, reconstruction, retrieval
from pipeline.trainset.pixels import PixelExamples

MEASURES: dict[str, dict[str, Any]] = {
    "vae": {"reconstruction": reconstruction},
    "clip": {"retrieval": retrieval},
    "blip": {},
}
"""What is measured beside the loss, by what a method learns."""


def values(method: Any, model: Any, examples: PixelExamples, *inputs: Any) -> list[Row]:  # noqa: ANN401
    """`metric`, `sample_id` and `value` of each picture; `inputs` is the CLIP's or BLIP's processor, or nothing."""
    model.eval()
    found = {"example_loss": example_loss.measure(lambda batch: method.losses(model, batch, *inputs), examples)}
    found |= {name: one.measure(model, examples, *inputs) for name, one in MEASURES[method.LEARNS].items()}
    return [
        {"metric": name, "sample_id": row["sample_id"], "value": value}
        for name, some in found.items()
        for row, value in zip(examples.rows, some, strict=True)
    ]
