"""Train a low-rank update of the UNet's attention (Hu et al. 2021); the UNet's own weights stay as they are.

`weights/pytorch_lora_weights.safetensors` in the folder is the adapter to use (averaged, where `ema_decay` is above 0,
and then `weights/raw` has the one that the optimizer left); it opens with `load_lora_weights` of diffusers' pipelines.
`weights/kohya.safetensors` is the same in the layout of kohya's sd-scripts, which most other programs read.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from diffusers import SchedulerMixin, UNet2DConditionModel
from peft import LoraConfig

from pipeline.errors import RecipeError
from pipeline.training import checkpoints, optimizers, schedules, weights
from pipeline.training.average import Average
from pipeline.training.data import Examples
from pipeline.training.gradients import Gradients
from pipeline.training.objective import Objective
from pipeline.training.record import Progress, Record, unseen
from pipeline.training.result import Result
from pipeline.training.session import session
from pipeline.training.settings import TrainSettings

DESCRIPTION = "Train a low-rank update of the UNet's attention: a small file that any diffusers pipeline loads."


def train(
    unet: UNet2DConditionModel,
    examples: Examples,
    scheduler: SchedulerMixin,
    settings: TrainSettings,
    *,
    folder: Path,
    say: Callable[[str], None],
    on_checkpoint: Callable[[int, UNet2DConditionModel], None] | None = None,
    header: Mapping[str, str] | None = None,
    progress: Progress = unseen,
) -> Result:
    """Give `unet` an adapter named `default` and train it where it lies, to the weights to use.

    The frozen weights keep their number format; the adapter's are float32. For all else see `full.train`: the folder,
    resuming, `on_checkpoint`, `header` and errors are the same. Raises RecipeError where no layer has the name of a
    target module.
    """
    begun = time.monotonic()
    identity = checkpoints.identity(settings, digest=examples.digest, header=header or {})
    note = weights.header(settings, digest=examples.digest, more=header or {})
    objective = Objective.of(scheduler, gamma=settings.min_snr_gamma)
    saved = checkpoints.resume(folder, identity=identity, say=say)
    done = saved.step if saved else 0
    with session(settings, device=unet.device) as accelerator:
        config = add_adapter(unet, settings)
        unet.train()
        if settings.gradient_checkpointing:
            unet.enable_gradient_checkpointing()
        parameters = [one for one in unet.parameters() if one.requires_grad]
        optimizer = accelerator.prepare_optimizer(optimizers.build(parameters, settings))
        if saved:
            weights.load_lora(unet, saved.folder)
        average = Average(parameters, decay=settings.ema_decay, step=done)
        if saved:
            if average:
                weights.load_lora(unet, saved.folder / "raw")
            optimizers.load_state(accelerator, optimizer, saved.state())

        def write_weights(target: Path) -> None:
            if average:
                weights.save_lora(unet, target / "raw", config=config, header=note)
            with average.applied():
                weights.save_lora(unet, target, config=config, header=note)
                weights.save_kohya(unet, target, config=config, header=note)

        gradients = Gradients(accelerator, unet, examples, objective, settings, folder)
        with Record(folder, done=done, steps=settings.steps, progress=progress) as record:
            for step in range(done, settings.steps):
                rate = settings.learning_rate * schedules.factor(step, settings)
                optimizers.set_rate(optimizer, rate)
                loss = gradients.accumulate(step)
                norm = optimizers.clip(accelerator, optimizer, limit=settings.max_grad_norm)
                optimizer.step()
                optimizer.zero_grad()
                average.update()
                record.add(step + 1, loss=loss, learning_rate=rate, grad_norm=norm)
                if checkpoints.due(step + 1, settings):
                    if on_checkpoint:
                        with average.applied():
                            on_checkpoint(step + 1, unet.eval())
                        unet.train()
                    record.save()
                    checkpoints.write(
                        folder,
                        step + 1,
                        weights=write_weights,
                        state=optimizers.state(accelerator, optimizer),
                        identity=identity,
                        keep=settings.keep_checkpoints,
                    )
        checkpoints.commit(folder / "weights", write_weights)
        average.apply()
        unet.eval()
    return Result(folder / "weights", settings.steps, record.losses(), time.monotonic() - begun)


def add_adapter(unet: UNet2DConditionModel, settings: TrainSettings) -> LoraConfig:
    """Freeze the UNet and add a trainable float32 adapter, drawn from torch's global stream, that changes nothing yet.

    Raises RecipeError where `settings.target_modules` name no layer.
    """
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.rank if settings.alpha is None else settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(settings.target_modules),
        init_lora_weights="gaussian",
    )
    unet.requires_grad_(False)  # noqa: FBT003 - torch's own signature
    try:
        unet.add_adapter(config)
    except ValueError as error:
        raise RecipeError(
            "the UNet has no layers with these names",
            field="train.target_modules",
            value=list(settings.target_modules),
            remedy="Name layers as in diffusers, such as to_q, to_k, to_v and to_out.0.",
        ) from error
    for one in unet.parameters():
        if one.requires_grad:
            one.data = one.data.to(torch.float32)
    return config


def load(unet: UNet2DConditionModel, folder: Path) -> UNet2DConditionModel:
    """The base model's `unet` with the trained weights in `folder` (a result's), where it lies."""
    unet.load_lora_adapter(folder, prefix="unet", weight_name=weights.LORA_FILE)
    return unet
