"""What a recipe's method learns: which model `base_model` means, where its files lie, and what decides its weights.

Imports nothing that costs time, so that a recipe can be checked and a finished training found within a moment.
"""

from pathlib import Path

from pipeline import model_files, plugins
from pipeline.recipe import Recipe


def learns(recipe: Recipe) -> str:
    """The model that the recipe's method trains: `unet`, `vae`, `clip` or `blip`."""
    return str(_facts(recipe)["LEARNS"])


def reads_latents(recipe: Recipe) -> bool:
    """Whether the recipe's method trains on latents and text embeddings, not on pixels and captions."""
    return bool(_facts(recipe)["EXAMPLES"] == "latents")


def reads_captions(recipe: Recipe) -> bool:
    """Whether text encoders are at work in each step of the training, so that captions are not cached as embeddings."""
    return reads_latents(recipe) and (recipe.train.text_encoder or bool(_facts(recipe).get("READS_CAPTIONS")))


def part(recipe: Recipe) -> str:
    """What `base_model` is wanted for, as `model_files.locate` names it."""
    return "base" if learns(recipe) == "unet" else learns(recipe)


def locate(recipe: Recipe) -> Path:
    """The folder of the base model; of what is trained from scratch it need not have weights.

    Raises:
        ModelError: the model is not there and cannot be had, or is of another kind.
    """
    base = recipe.base_model
    return model_files.locate(base.id, base.revision, part=part(recipe), untrained=untrained(recipe))


def hashes(recipe: Recipe) -> dict[str, str]:
    """The hash of each part of the base model that the training reads, by its folder's name ("" is the whole).

    A UNet's training reads its noise schedule, too; the VAE and the text encoders are in the training set's encoding,
    but for encoders that are at work in each step.

    Raises:
        ModelError: the model is not there and cannot be had, or is of another kind.
    """
    folder, drawn = locate(recipe), untrained(recipe)
    read = {"unet": ("unet", "scheduler"), "vae": ("vae",)}.get(learns(recipe), ("",))
    found = {name: model_files.weights_hash(folder, name, untrained=name == drawn) for name in read}
    return found | ({"text_encoder": model_files.text_hash(folder)} if reads_captions(recipe) else {})


def untrained(recipe: Recipe) -> str | None:
    """The folder's component that begins with drawn weights, if any does."""
    name = learns(recipe)
    return (name if name in ("unet", "vae") else "") if recipe.base_model.scratch else None


def _facts(recipe: Recipe) -> dict[str, object]:
    return plugins.facts("methods", recipe.train.method)
