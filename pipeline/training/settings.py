"""The settings of a training: the `train:` part of a recipe."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

DEFAULTS: dict[str, dict[str, Any]] = {
    # diffusers' LoRA guide: 1e-4, cosine, no warm-up, the captions as they are.
    "lora": {"learning_rate": 1e-4, "lr_schedule": "cosine", "warmup_steps": 0, "caption_dropout": 0.0},
    # OneTrainer's preset for Stable Diffusion 1.5: 3e-6 after 200 steps; mosaicml/diffusion: 10 % empty captions.
    "full": {"learning_rate": 3e-6, "lr_schedule": "constant", "warmup_steps": 200, "caption_dropout": 0.1},
    # diffusers' DreamBooth guide: LoRA 1e-4 and 500 steps, all weights 5e-6 and 800 steps, both constant.
    "dreambooth": {"learning_rate": 1e-4, "steps": 500},
    "dreambooth, full": {"learning_rate": 5e-6, "steps": 800},
    # diffusers' textual inversion guide: 5e-4 without warm-up and 3000 steps; Gal et al. 2022 decay nothing.
    "textual_inversion": {"learning_rate": 5e-4, "steps": 3000, "weight_decay": 0.0},
    # stabilityai/sd-vae-ft-mse trained the decoder alone, which leaves all UNets valid; the rate is that of
    # CompVis/latent-diffusion's autoencoder_kl_32x32x4: 4.5e-6 x batch 12 (its warm-up: none).
    "vae": {"learning_rate": 5e-5, "weight_decay": 0.0, "freeze": ["encoder", "quant_conv"], "ema_decay": 0.999},
    # Wortsman et al. 2022 (WiSE-FT): 3e-5 or less, weight decay 0.1, cosine after 500 steps.
    "clip": {"learning_rate": 1e-5, "lr_schedule": "cosine", "warmup_steps": 500, "weight_decay": 0.1},
    # Li et al. 2022 (BLIP), caption_coco.yaml: 1e-5, cosine, weight decay 0.05.
    "blip": {"learning_rate": 1e-5, "lr_schedule": "cosine", "weight_decay": 0.05},
}
"""What a recipe leaves out, where a method has a better value than the field's own default."""

WITHOUT_EFFECT = {"checkpoint_every", "keep_checkpoints", "max_loss_rise", "log_with"}
"""Settings that decide nothing of a training's outcome, and so may change between it and its resumption."""


class TrainSettings(BaseModel):
    """How to train. A field that a recipe leaves out takes the method's value in `DEFAULTS`, else its own default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str = Field(
        default="lora", pattern="^[a-z][a-z0-9_]*$", description="How to train: the name of a file in pipeline/methods."
    )
    steps: int = Field(
        default=1500, ge=0, description="Optimizer steps, 1 or more; 0 (or left out): as many as epochs take."
    )
    epochs: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="How often to go through the training set, 1 or more, in place of steps; null: steps says it.",
    )
    batch_size: int = Field(
        default=4, ge=1, description="Examples in one pass through the model (a micro-batch), 1 or more."
    )
    gradient_accumulation: int = Field(default=1, ge=1, description="Micro-batches summed into one step, 1 or more.")
    learning_rate: float = Field(default=1e-4, gt=0, le=10, description="Peak learning rate, above 0, at most 10.")
    text_encoder: bool = Field(
        default=False,
        description="lora, full: train the text encoders along with the UNet; captions are then read in each step.",
    )
    text_encoder_lr: Annotated[float, Field(gt=0, le=10)] | None = Field(
        default=None,
        description="Peak learning rate of the text encoders, above 0, at most 10; null: as the UNet's.",
    )
    block_rates: dict[str, Annotated[float, Field(gt=0, le=100)]] = Field(
        default={},
        description="lora, full: factors of the learning rate for blocks of the UNet by the beginning of their names, "
        "such as {down_blocks: 0.3, mid_block: 0.5}; above 0, at most 100; of several that fit, the longest counts.",
    )
    lr_schedule: Literal["constant", "linear", "cosine", "cosine_with_restarts", "polynomial"] = Field(
        default="constant", description="Course of the learning rate after the warm-up; all but constant end at 0."
    )
    lr_cycles: int = Field(
        default=3, ge=1, description="cosine_with_restarts: how often the learning rate falls to 0, 1 or more."
    )
    lr_power: float = Field(
        default=2.0, gt=0, description="polynomial: power of the share of steps to go, above 0; 1 is linear."
    )
    warmup_steps: int = Field(default=0, ge=0, description="Steps of linear rise of the learning rate from 0; 0: none.")
    optimizer: Literal["adamw", "adamw8bit", "sgd", "adafactor", "prodigy"] = Field(
        default="adamw",
        description="AdamW; the same with states of 8 bits (a GPU and bitsandbytes); SGD with momentum 0.9; Adafactor, "
        "whose state is small; Prodigy, which finds the rate itself (learning_rate: 1; needs prodigyopt).",
    )
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = Field(
        default=(0.9, 0.999),
        description="AdamW and Prodigy: decay of the running means of gradients and of their squares, 0 to below 1.",
    )
    weight_decay: float = Field(
        default=0.01, ge=0, le=1, description="Decay of weight matrices, 0 to 1; biases and norms are never decayed."
    )
    max_grad_norm: float = Field(default=1.0, ge=0, description="Clip the gradient's norm to this; 0: do not clip.")
    max_loss_rise: Annotated[float, Field(gt=1)] | None = Field(
        default=20.0,
        description="Stop where five losses in a row are above this many times the usual one, above 1; null: never.",
    )
    mixed_precision: Literal["no", "bf16", "fp16"] = Field(
        default="no",
        description="Number format that the model computes in, and that a UNet's weights have where they are not "
        "trained; those that are stay float32. fp16 needs a GPU.",
    )
    timestep_sampling: Literal["uniform", "logit_normal"] = Field(
        default="uniform",
        description="How often each timestep comes: all alike, or those in the middle more often, as the sigmoid of a "
        "normal number (Esser et al. 2024, section 3.1).",
    )
    logit_mean: float = Field(
        default=0.0,
        ge=-4,
        le=4,
        description="logit_normal: mean before the sigmoid; above 0, more noise comes oftener.",
    )
    logit_std: float = Field(default=1.0, gt=0, le=4, description="logit_normal: spread before the sigmoid, above 0.")
    gradient_checkpointing: bool = Field(
        default=False,
        description="Recompute activations in the backward pass: less memory, about a third slower.",
    )
    min_snr_gamma: Annotated[float, Field(gt=0)] | None = Field(
        default=5.0,
        description="Cap of the signal-to-noise ratio in the loss's weight (Hang et al. 2023); null: no weights.",
    )
    loss: Literal["mse", "huber"] = Field(
        default="mse",
        description="What a wrong answer costs: its square, or the pseudo-Huber loss, which outliers sway less.",
    )
    huber_c: float = Field(
        default=0.1, gt=0, description="huber: error above which the cost turns from square to linear, above 0."
    )
    masked_loss: bool = Field(
        default=False,
        description="Learn from that part of a picture alone that its mask shows white, where it has one (see "
        "sources.masks); the loss is divided by the mask's area.",
    )
    unmasked_weight: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="masked_loss: what the rest counts at least, 0 to 1 (OneTrainer: 0.1); 1 is no mask.",
    )
    zero_terminal_snr: bool = Field(
        default=False,
        description="Rescale the noise schedule so that its last step is noise alone (Lin et al. 2023), which lets "
        "a model paint very dark and very bright pictures; for models that predict v.",
    )
    log_with: Literal["wandb"] | None = Field(
        default=None,
        description="wandb: show the training on Weights & Biases too ($WANDB_MODE=offline keeps it here); null: on "
        "TensorBoard alone.",
    )
    prior_weight: float = Field(
        default=1.0,
        ge=0,
        le=100,
        description="Weight of the loss on class pictures (sources with role: prior), 0 to 100; 0: they are not "
        "learned from.",
    )
    adapts: Literal["lora", "full"] = Field(
        default="lora", description="dreambooth: what is trained, an adapter or every weight of the UNet."
    )
    caption_dropout: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of captions replaced by the empty one, 0 to 1; drawn anew each step.",
    )
    noise_offset: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Strength of noise that is constant over a channel, 0 to 1; SDXL used 0.0357.",
    )
    seed: int = Field(
        default=0, ge=0, lt=2**63, description="Decides order, noise, timesteps, dropout and initial weights."
    )
    checkpoint_every: int = Field(
        default=250, ge=1, description="Steps between checkpoints, 1 or more; the last step has one."
    )
    keep_checkpoints: int = Field(default=2, ge=1, description="Newest checkpoints to keep, 1 or more.")
    ema_decay: float = Field(
        default=0.0, ge=0, lt=1, description="Decay of the running average of the weights, such as 0.999; 0: none."
    )
    freeze: tuple[str, ...] = Field(
        default=(),
        description="Layers that stay as they are, by the beginning of their names, such as vision_model; lora: none "
        "but its own are trained anyway.",
    )
    rank: int = Field(default=16, ge=1, le=1024, description="LoRA: rank of the update, 1 to 1024.")
    alpha: float | None = Field(
        default=None,
        gt=0,
        description="LoRA: the update is scaled by alpha / rank, above 0; null: alpha = rank, as diffusers.",
    )
    dropout: float = Field(
        default=0.0, ge=0, lt=1, description="LoRA: share of inputs of the update set to 0, 0 to below 1."
    )
    use_dora: bool = Field(
        default=False,
        description="LoRA: learn the length of each adapted layer's rows apart from their direction (DoRA, Liu et al. "
        "2024); closer to full fine-tuning, and slower.",
    )
    conv_rank: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        default=None,
        description="LoRA: adapt the convolutions of residual blocks and samplers too, with this rank, 1 to 1024 "
        "(sd-scripts: conv_dim); null: they stay as they are.",
    )
    conv_alpha: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="LoRA: alpha of the convolutions, above 0; null: alpha = conv_rank."
    )
    target_blocks: tuple[str, ...] = Field(
        default=(),
        description="LoRA: adapt layers of these blocks of the UNet alone, such as mid_block or up_blocks.1; none "
        "named: of all.",
    )
    placeholder: str = Field(
        default="",
        pattern=r"^(<[a-z0-9-]{1,40}>)?$",
        description="textual_inversion: the new word, such as <my-robot>; captions and prompts name the subject so.",
    )
    vectors: int = Field(default=1, ge=1, le=32, description="textual_inversion: vectors of the new word, 1 to 32.")
    initial_words: str = Field(
        default="a", min_length=1, description="textual_inversion: what the new word's vectors begin as, such as dog."
    )
    target_modules: tuple[str, ...] = Field(
        default=("to_q", "to_k", "to_v", "to_out.0"),
        min_length=1,
        description="LoRA: name endings of the layers to adapt; the default are the attention projections.",
    )

    @property
    def frozen(self) -> bool:
        """Whether a UNet's own weights stay as they are: an adapter or a new word is learned beside them."""
        return self.method in ("lora", "textual_inversion") or (self.method == "dreambooth" and self.adapts == "lora")

    @property
    def logit(self) -> tuple[float, float] | None:
        """Mean and spread of timesteps before the sigmoid; None where all come alike."""
        return (self.logit_mean, self.logit_std) if self.timestep_sampling == "logit_normal" else None

    @property
    def rates(self) -> dict[str, float]:
        """Factors of the learning rate by the beginning of a painter's parameters' names, the longest first."""
        texts = 1.0 if self.text_encoder_lr is None else self.text_encoder_lr / self.learning_rate
        blocks = {f"unet.{name}": rate for name, rate in self.block_rates.items()}
        return dict(sorted({"texts": texts, **blocks}.items(), key=lambda one: -len(one[0])))

    @model_validator(mode="before")
    @classmethod
    def _fill_defaults_of_method(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        method = values.get("method", "lora")
        if method == "dreambooth" and values.get("adapts") == "full":
            method = "dreambooth, full"
        own: dict[str, Any] = {"learning_rate": 1.0} if values.get("optimizer") == "prodigy" else {}
        if values.get("epochs") is not None:
            own["steps"] = 0
        given = {name: value for name, value in values.items() if name != "steps" or value is not None}
        return {**DEFAULTS.get(method, {}), **own, **given}

    @model_validator(mode="after")
    def _steps_or_epochs(self) -> Self:
        if bool(self.steps) == (self.epochs is not None):
            raise ValueError("a training has either steps or epochs: give one of them, and the other as null")
        return self
