"""What a run did, as plain values: everything that its report shows, and nothing that has to be looked up.

Only `run_id`, `name`, `started`, `finished` and `command` are needed. A part left empty leaves its section out, so that
a run which only prepared pictures has a report too. All texts are taken as hostile: none may hold HTML.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from pipeline.lessons import Lessons
from pipeline.reporting.captions import CaptionRow as CaptionRow
from pipeline.reporting.histograms import Histogram, Variety

Picture = bytes | NDArray[np.uint8]
"""An encoded picture (WebP, PNG, JPEG or GIF), or pixels: height x width x 3, RGB, 0 to 255."""


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What became of one file that came in."""

    origin: str
    """Where it came from: a path or a URL."""
    sample_id: str
    """SHA-256 of its bytes, or empty where it could not be read."""
    state: str
    """kept, held_out, duplicate, rejected, quarantined, dropped_by_person, awaiting_review or forgotten."""
    stage: str
    """The stage that decided."""
    reason: str = ""
    """A rule's name or a short word, such as `sharpness__score` or `truncated`."""
    value: float | str | None = None
    """What was measured."""
    limit: float | str | None = None
    """What it was held against. A number below the value means "at most", one above it "at least"."""
    kept_instead: str = ""
    """The `sample_id` that stands for a duplicate."""


@dataclass(frozen=True, slots=True)
class FunnelStep:
    """How many files reached a stage, and how many ended there, by state."""

    stage: str
    came_in: int
    left: Mapping[str, int]

    @property
    def went_on(self) -> int:
        """How many files the next stage saw."""
        return self.came_in - sum(self.left.values())


@dataclass(frozen=True, slots=True)
class AugmentedView:
    """One view of a picture: view 0 is the picture itself."""

    sample_id: str
    view: int
    label: str
    """What was done to it, such as `crop, flip`."""
    caption: str
    picture: Picture
    refused: str = ""
    """Which transform was left out and why, such as `flip: the caption says left`."""


@dataclass(frozen=True, slots=True)
class Known:
    """One thing that was known before training, and what to do where it is amiss."""

    about: str
    said: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class TrainingPoint:
    """One step of training."""

    step: int
    loss: float
    learning_rate: float


@dataclass(frozen=True, slots=True)
class StableLoss:
    """Loss on frozen (picture, noise, timestep) triples at one checkpoint; step 0 is the base model."""

    step: int
    split: str
    """train or held_out."""
    timestep: int
    """Diffusion timestep, 0 (nearly no noise) to 999 (nearly nothing else)."""
    loss: float
    """Mean squared error of what the model predicts, noise or velocity."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One generated picture."""

    prompt: str
    seed: int
    picture: Picture


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The pictures generated at one checkpoint; step 0 is the base model."""

    step: int
    samples: Sequence[Sample]


@dataclass(frozen=True, slots=True)
class Metric:
    """One measure before (base model) and after training, with the 95 % interval of their difference."""

    name: str
    of: str
    """What it was measured on, such as `held out` or `8 prompts x 2 seeds`."""
    before: float
    after: float
    difference: float | None
    """Mean paired difference, after - before; None where it was not measured in pairs."""
    low: float | None
    high: float | None
    higher_is_better: bool | None
    """None where neither direction is better by itself."""
    note: str = ""
    """How to read it, in a few words."""

    @property
    def distinguishable(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    @property
    def helped(self) -> bool | None:
        """Whether training made it better; None where that cannot be told."""
        if not self.distinguishable or self.higher_is_better is None or self.difference is None:
            return None
        return (self.difference > 0) == self.higher_is_better


@dataclass(frozen=True, slots=True)
class Resemblance:
    """A generated picture beside the training picture that it is most like."""

    generated: Picture
    prompt: str
    sample_id: str
    """The training picture; shown by its thumbnail."""
    similarity: float
    """Cosine, -1 to 1."""
    expected: float | None = None
    """How alike a held-out picture is to its nearest training picture (95th percentile): the null."""


@dataclass(frozen=True, slots=True)
class Right:
    """How many pictures came under one licence."""

    license: str
    """SPDX id, LicenseRef-..., or `unknown`."""
    count: int
    allowed: bool
    """Whether the recipe lets it into training."""
    attribution: str = ""
    """Whom to name."""


@dataclass(frozen=True, slots=True)
class Planted:
    """What is known of a file from whoever made it, good or spoiled on purpose: the ledger is held against it."""

    file: str
    """Its name, as the last part of its origin."""
    kind: str
    """`good`, or what is wrong with it, such as `blurred`."""
    of: str | None
    """The file that it is a copy of."""
    states: tuple[str, ...]
    """What ought to become of it: states of the ledger, or `flagged` for its caption; one of them is right."""
    detail: str = ""
    """What exactly was done to it."""


@dataclass(frozen=True, slots=True)
class StageCost:
    """What one stage took."""

    name: str
    seconds: float
    computed: int
    """Rows that were worked out in this run."""
    cached: int
    """Rows that were there already."""
    peak_mib: float | None = None
    """Highest resident memory of the process while it ran, MiB."""


@dataclass(frozen=True, slots=True)
class Weights:
    """One file of weights that the run wrote."""

    path: str
    step: int
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """Everything about one run that its report shows."""

    run_id: str
    name: str
    started: datetime
    finished: datetime
    command: str
    about: str = ""
    """What a stranger should know first: where the pictures come from, and what the run is for."""
    planted: Sequence[Planted] = ()
    """The truth about files, where trouble was planted; one for each file, the good ones included."""
    ledger: Sequence[LedgerRow] = ()
    """One row for each file that came in; the rows of kept files may be left out."""
    funnel: Sequence[FunnelStep] = ()
    """The stages in their order, see `funnel`; the first one's `came_in` counts every file."""
    thumbnails: Mapping[str, bytes] = field(default_factory=dict)
    """Encoded thumbnails by sample_id, see `pictures.thumbnail`."""
    histograms: Sequence[Histogram] = ()
    variety: Variety | None = None
    captions: Sequence[CaptionRow] = ()
    lessons: Lessons | None = None
    """What people changed in captions; None where they have read none."""
    views: Sequence[AugmentedView] = ()
    preflight: Sequence[Known] = ()
    training: Sequence[TrainingPoint] = ()
    stable_loss: Sequence[StableLoss] = ()
    evaluations: Sequence[Evaluation] = ()
    """In order of steps, the base model (step 0) first."""
    metrics: Sequence[Metric] = ()
    """The main measure first: the verdict quotes it."""
    resemblances: Sequence[Resemblance] = ()
    rights: Sequence[Right] = ()
    recipe_yaml: str = ""
    base_model: str = ""
    method: str = ""
    machine: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    stages: Sequence[StageCost] = ()
    trainset_digest: str = ""
    weights: Sequence[Weights] = ()


THROUGH = ("kept", "held_out")
"""The states of files that went all the way; no stage left them behind."""


def funnel(ledger: Iterable[LedgerRow], stages: Sequence[str]) -> tuple[FunnelStep, ...]:
    """Count a whole ledger, the kept files included, into the steps of its stages in the order given.

    Raises:
        ValueError: a row names a stage that is not among `stages`; its file would be lost from the count.
    """
    rows = list(ledger)
    ended = Counter((row.stage, row.state) for row in rows if row.state not in THROUGH)
    unknown = sorted({stage for stage, _ in ended} - set(stages))
    if unknown:
        raise ValueError(f"the ledger names stages that the funnel lacks: {', '.join(unknown)}")
    steps: list[FunnelStep] = []
    remaining = len(rows)
    for stage in stages:
        left = {state: count for (at, state), count in sorted(ended.items()) if at == stage}
        steps.append(FunnelStep(stage, remaining, left))
        remaining = steps[-1].went_on
    return tuple(steps)
