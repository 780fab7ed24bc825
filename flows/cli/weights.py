"""`gesso weights`: files of weights shown, written in other programs' layouts, merged, and taken apart again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from flows.cli.options import CONTEXT, example, json_option

Command = TypeVar("Command", bound=Callable[..., Any])

to_option = click.option("--to", "target", type=click.Path(path_type=Path), required=True, help="A new file or folder.")
layout_option = click.option(
    "--layout",
    type=click.Choice(["diffusers", "kohya"]),
    help="Of an adapter: diffusers' names, or those of sd-scripts and the web UIs; default: the other one.",
)


def single_options(command: Command) -> Command:
    """Give a command what is told of base models that come as single files, as in a recipe's base_model."""
    prediction = click.option(
        "--prediction",
        type=click.Choice(["epsilon", "v_prediction"]),
        help="What a single file's UNet predicts, where the file does not say.",
    )
    config = click.option(
        "--config", metavar="FOLDER", help="A folder of diffusers with a single file's configurations and tokenizers."
    )
    return prediction(config(command))


@click.group(context_settings=CONTEXT)
def weights() -> None:
    """Show, convert, merge and extract files of weights."""


@weights.command(epilog=example("gesso weights show work/photos"))
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def show(file: Path, as_json: bool) -> None:
    """Show what a file of weights is and says of itself.

    FILE is a .safetensors file, a base model's folder, or a workspace, whose latest training is meant.
    """
    from flows.weights import trained
    from pipeline.interchange.show import value, words

    found = value(trained(file))
    click.echo(json.dumps(found) if as_json else words(found))


@weights.command(epilog=example("gesso weights convert model.safetensors --to model"))
@click.argument("source", type=click.Path(path_type=Path))
@to_option
@layout_option
@single_options
def convert(source: Path, target: Path, layout: str | None, prediction: str | None, config: str | None) -> None:
    """Write a base model as folder or single file, or an adapter in the other layout.

    Where the target ends in .safetensors, a base model becomes a single file, which the web UIs open; else a folder,
    as diffusers does. An adapter goes from diffusers' layout to kohya's or back, bit for bit.
    """
    from flows.weights import convert

    click.echo(convert(source, target, layout=layout, prediction=prediction, config=config))


@weights.command(epilog=example("gesso weights merge starter work/photos --to merged"))
@click.argument("base")
@click.argument("adapter", type=click.Path(path_type=Path))
@to_option
@click.option("--scale", type=float, default=1.0, show_default=True, help="How much of the adapter, 0 none and 1 all.")
@single_options
def merge(base: str, adapter: Path, target: Path, scale: float, prediction: str | None, config: str | None) -> None:
    """Write a base model with an adapter in it, or with the parts of a full training.

    ADAPTER is a LoRA's file in either layout, a folder with unet/ in it, or a workspace, whose latest training is
    meant. Where the target ends in .safetensors, it is a single file.
    """
    from flows.weights import merge

    click.echo(merge(base, adapter, target, scale=scale, prediction=prediction, config=config))


@weights.command(epilog=example("gesso weights extract starter merged --to lora.safetensors --energy 0.99"))
@click.argument("base")
@click.argument("tuned")
@to_option
@click.option("--rank", type=click.IntRange(1), help="Rank of every layer; default: nothing is cut off.")
@click.option(
    "--energy",
    type=click.FloatRange(0, 1, min_open=True),
    help="Instead: the share of each layer's change that is kept.",
)
@click.option(
    "--layout",
    type=click.Choice(["diffusers", "kohya"]),
    default="diffusers",
    show_default=True,
    help="Names as in diffusers, or as in sd-scripts and the web UIs.",
)
@single_options
def extract(
    base: str,
    tuned: str,
    target: Path,
    rank: int | None,
    energy: float | None,
    layout: str,
    prediction: str | None,
    config: str | None,
) -> None:
    """Write what a full training changed as a LoRA.

    Says how much of the change it holds; biases and norms are not among it.
    """
    if rank is not None and energy is not None:
        raise click.UsageError("--rank and --energy both say how much is kept: give one of them")

    from flows.weights import extract

    click.echo(
        extract(base, tuned, target, rank=rank, energy=energy, layout=layout, prediction=prediction, config=config)
    )
