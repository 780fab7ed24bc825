"""The frozen models of a recipe's parts: what each stage can be told, with units, ranges and defaults.

`recipe.py` puts them together; a stage takes its own part and knows no other.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Part(BaseModel):
    """A frozen part of a recipe that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Rights(Part):
    """What is known of the rights in a source's pictures, where nothing beside the picture says otherwise."""

    license: str | None = Field(None, description="SPDX id such as CC-BY-4.0, or LicenseRef-...; none is unknown")
    license_url: str | None = Field(None, description="address of the licence's text")
    creator: str | None = Field(None, description="who made the pictures")
    source_url: str | None = Field(None, description="where the pictures were published")
    retrieved_at: str | None = Field(None, description="when they were fetched, ISO 8601")
    attribution: str | None = Field(None, description="line to print in ATTRIBUTION.md")
    rights_basis: str | None = Field(
        None, description="why they may be used, in a word or two: licence, consent, own work, public domain"
    )
    ai_optout: bool | None = Field(
        None, description="whether who owns them objects to training; true: none is used, null: not known"
    )
    optout_source: str | None = Field(None, description="where the objection stands")


class Painted(Part):
    """Class pictures that the base model paints into a source's folder, those that are not there yet."""

    prompts: tuple[str, ...] = Field(
        min_length=1,
        description="what they show, in turn: the subject's class without the trigger, such as a photo of a dog",
    )
    count: int = Field(200, ge=1, le=100_000, description="how many; 1 to 100000 (diffusers' DreamBooth guide: 200)")
    seed: int = Field(0, ge=0, description="of the first one; the others follow")
    guidance: float = Field(7.5, ge=0.0, le=30.0, description="classifier-free guidance; 0 to 30")
    steps: int = Field(25, ge=1, le=1000, description="sampler steps a picture, 1 or more")


class Fetch(Part):
    """How addresses of a list are fetched."""

    connections: int = Field(16, ge=1, le=128, description="addresses fetched at a time, 4 of one host; 1 to 128")
    seconds: float = Field(30.0, gt=0, le=3600, description="longest time for one address, over redirects; seconds")
    max_bytes: int = Field(64 * 2**20, ge=1, le=2**28, description="largest body that is taken; bytes, up to 256 MiB")
    tries: int = Field(4, ge=1, le=20, description="how often an address is asked that may answer the next time")
    wait: float = Field(1.0, ge=0, le=600, description="before the second try, doubled for each further one; seconds")
    private: tuple[str, ...] = Field(
        (),
        description="host:port whose addresses need not be of the public internet, such as your own server",
    )


class Source(Part):
    """One place that pictures come from."""

    kind: str = Field("folder", description="kind of source (`gesso list sources`)")
    path: Path = Field(description="the folder, file or address; relative to where the command runs")
    revision: str | None = Field(None, description="commit of a hub dataset; needed for an id to be reproducible")
    fetch: Fetch = Field(Fetch(), description="how addresses are fetched; for the kind urls")
    originals: Literal["copy", "reference"] = Field(
        "copy",
        description="copy: pictures are kept in the workspace; reference: files of folders stay where they are",
    )
    rights: Rights = Field(Rights(), description="rights in all its pictures, unless a metadata file says otherwise")
    class_: str | None = Field(
        None, alias="class", description="class noun of the subject; {folder} is the name of the picture's folder"
    )
    trigger: str | None = Field(None, description="rare word that names the subject, for captions and prompts")
    repeats: int = Field(1, ge=1, le=1000, description="how often each of its pictures is seen in an epoch; 1 to 1000")
    role: Literal["subject", "prior"] = Field(
        "subject",
        description="prior: class pictures, or general ones, that stand for what the model knew before and is to know "
        "still; each step learns from some of them too, by train.prior_weight",
    )
    masks: Path | None = Field(
        None,
        description="a folder of masks, each named as its picture and lying where it lies; NAME-masklabel.png and "
        "NAME.mask.png beside a picture are masks anyway; white is what train.masked_loss learns from",
    )
    painted: Painted | None = Field(None, description="let the base model paint them; only with role: prior")

    @model_validator(mode="after")
    def _refers_to_files_alone(self) -> Self:
        if self.originals == "reference" and self.kind not in ("folder", "kohya", "huggingface"):
            raise ValueError(f"only files in folders can be referred to, not what comes from the kind {self.kind}")
        return self

    @model_validator(mode="after")
    def _paints_priors_alone(self) -> Self:
        if self.painted and self.role != "prior":
            raise ValueError("painted pictures are class pictures: say role: prior")
        return self


class Limit(Part):
    """A rule's limits, both included."""

    min: float | None = Field(None, description="lowest value that is kept; in the column's unit")
    max: float | None = Field(None, description="highest value that is kept; in the column's unit")

    @model_validator(mode="after")
    def _some(self) -> "Limit":
        if self.min is None and self.max is None:
            raise ValueError("a rule needs min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError("nothing is between this min and this max")
        return self


class Allow(Part):
    """Which licences may be used; closed on unknown."""

    allow: tuple[str, ...] = Field(
        (), description="SPDX ids that are allowed; anything else, also unknown, is rejected"
    )
    unknown: Literal["reject", "accept"] = Field(
        "reject", description="accept: pictures without a known licence pass too, on your own responsibility"
    )


class Split(Part):
    """What is kept from training to measure on."""

    held_out: float = Field(
        0.1,
        ge=0.0,
        le=0.5,
        description="share of pictures without duplicates that is held out, 0 to 0.5; of groups of duplicates more",
    )
    seed: int = Field(7, description="another seed holds out others")
    min_groups: int = Field(20, ge=2, description="with fewer groups of pictures than this nothing is held out")


class Review(Part):
    """What people have to decide before training."""

    require: Literal["none", "flagged", "all"] | Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        "none", description="none, flagged, all, or the share (0 to 1) of captions that a person must have decided"
    )
    undecided: Literal["wait", "exclude"] = Field(
        "wait", description="wait: stop with exit code 3; exclude: train without the undecided ones"
    )


class Augment(Part):
    """Further views of each training picture, made before the latents are cached."""

    views: int = Field(
        1, ge=1, le=32, description="views of a picture: the picture itself and views-1 transformed ones"
    )
    transforms: tuple[dict[str, dict[str, Any] | None], ...] = Field(
        (), description="albumentations transforms by class name, each with its arguments"
    )
    insist: bool = Field(
        default=False, description="transform also where the caption speaks against it (left, right, colours)"
    )


class Buckets(Part):
    """Sizes that pictures are brought to."""

    resolution: int = Field(
        512, ge=32, le=2048, description="side of the square bucket in pixels, rounded down to whole steps; 32 to 2048"
    )
    step: int = Field(
        64, ge=8, le=128, multiple_of=8, description="buckets have sides in multiples of this many pixels; 8 to 128"
    )
    max_aspect: float = Field(
        2.0, ge=1.0, le=4.0, description="longest side over shortest of the most oblong bucket; 1 to 4"
    )

    @model_validator(mode="after")
    def _one_step(self) -> "Buckets":
        if self.resolution < self.step:
            raise ValueError(f"a resolution of {self.resolution} is less than one step of {self.step}")
        return self


class BaseModelRef(Part):
    """The model that is fine-tuned."""

    id: str = Field(
        "starter",
        description="starter, a folder, a single .safetensors file, or a hub id; a diffusers model, for the methods "
        "clip and blip one of their own",
    )
    revision: str | None = Field(None, description="commit of the hub model; needed for a hub id to be reproducible")
    scratch: bool = Field(
        default=False,
        description="begin with weights drawn from train.seed; config.json of what is trained gives its architecture",
    )
    prediction: Literal["epsilon", "v_prediction"] | None = Field(
        None, description="what the UNet of a single file predicts, where the file does not say (Stable Diffusion 2)"
    )
    config: str | None = Field(
        None,
        description="for a single file of another architecture than the published ones: a folder as diffusers saves it "
        "whose configurations and tokenizers it shares",
    )


class Evaluate(Part):
    """What is rendered and measured at checkpoints."""

    every: int = Field(0, ge=0, description="training steps between evaluations; 0 is at the end only")
    prompts: tuple[str, ...] = Field((), description="prompts of the sample grid")
    seeds: tuple[int, ...] = Field((1, 2), description="one picture a prompt and seed")
    guidance: float = Field(7.5, ge=0.0, le=30.0, description="classifier-free guidance scale; 0 to 30")
    guidance_rescale: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="how far guided samples get back the contrast of unguided ones; 0 to 1, 0.7 for models whose "
        "schedule ends in noise alone (Lin et al. 2023)",
    )
    negative_prompt: str = Field("", description="what the samples are guided away from")
    steps: int = Field(25, ge=1, le=1000, description="denoising steps of a sample")
    general_prompts: tuple[str, ...] = Field(
        (), description="prompts that training is not about, whose pictures ought to stay: drift is measured on them"
    )
    max_drift: float | None = Field(
        None,
        gt=0,
        le=200,
        description="largest mean drift of general_prompts, above 0 to 200 (100 x (1 - cosine) of CLIP's pictures); a "
        "training that goes beyond it ends there; null: it is measured alone",
    )
    clip: str = Field("starter", description="CLIP that scores samples: starter, a folder or a hub id")

    @model_validator(mode="after")
    def _drifts_of_something(self) -> Self:
        if self.max_drift is not None and not self.general_prompts:
            raise ValueError("max_drift needs general_prompts to measure it on")
        return self
