"""What is measured of a model at one step of a training, as stages: of a UNet samples, their scores, and losses.

Of a model that sees pixels (VAE, CLIP, BLIP) it is one stage of values.

Each row is stored by what decides it and by nothing else. So the base model is measured once for all trainings, another
prompt or seed paints its own pictures alone, another CLIP scores the pictures that are there, and a changed caption
measures the loss of its own picture.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline import learning, shards
from pipeline.errors import GessoError
from pipeline.manifest import Row, digest
from pipeline.model_files import locate, text_hash, weights_hash
from pipeline.run import Run
from pipeline.settings import Evaluate
from pipeline.stage import Stored, Tools, ensure, fingerprint, requests_of

MOST_PICTURES = 32
"""Pictures of each split that a UNet is measured on; the first by sample id, so always the same."""
MOST_SEEN = 100
"""The same for a model that sees pixels: they cost less, and a CLIP looks for each among all of its split."""


SPLITS = {"held_out": "held-out pictures", "train": "training pictures", "prior": "class pictures"}
"""The splits of a training set that a model is measured on, and what to call their pictures."""
Compute = Callable[[Sequence[Row]], Sequence[Mapping[str, Any]]]


class Measure:
    """A measure as a stage; to look up what is there, no `compute` is needed."""

    VERSION = 1

    def __init__(
        self, name: str, key: Sequence[str], reads: Sequence[str] = (), **adds: tuple[pa.DataType, str]
    ) -> None:
        self.__name__, self.KEY, self.READS = name, tuple(key), tuple(reads)
        told = ((f"{name}__{column}", kind, {b"description": text.encode()}) for column, (kind, text) in adds.items())
        self.ADDS = pa.schema([pa.field(column, kind, metadata=about) for column, kind, about in told])
        self.compute: Compute = lambda _: ()

    def by(self, compute: Compute) -> "Measure":
        """The same measure, with what computes its columns."""
        made = copy(self)
        made.compute = compute
        return made

    def run(self, rows: Sequence[Row], params: Evaluate, tools: Tools) -> Sequence[Mapping[str, Any]]:  # noqa: ARG002 (a stage's signature)
        """Measure some rows."""
        return self.compute(rows)


MEASURES = {
    one.__name__: one
    for one in (
        Measure("samples", ("prompt", "seed"), png=(pa.binary(), "the picture, as PNG")),
        Measure(
            "scores",
            ("prompt", "seed"),
            clip_score=(pa.float64(), "100 x cosine of picture and prompt"),
            clip_image=(pa.float64(), "100 x mean cosine of picture and training pictures"),
        ),
        Measure(
            "drifts",
            ("prompt", "seed"),
            drift=(pa.float64(), "100 x (1 - cosine) of picture and the base model's"),
        ),
        Measure(
            "losses",
            ("sample_id",),
            ("pixel_id", "caption"),
            timesteps=(pa.list_(pa.int32()), "of 1000"),
            losses=(pa.list_(pa.float64()), "stable loss at each timestep"),
        ),
        Measure(
            "values",
            ("sample_id",),
            ("pixel_id", "caption"),
            metrics=(pa.list_(pa.string()), "names of metrics"),
            values=(pa.list_(pa.float64()), "the value of each"),
        ),
    )
}


class Evaluation:
    """Evaluates the steps of one training; what was measured of a step already costs nothing."""

    def __init__(self, run: Run, tools: Tools, training: Path) -> None:
        self._run, self._tools, self._training = run, tools, training
        self.computed = 0
        """Steps of which something was measured."""

    def due(self, step: int) -> bool:
        """Whether the recipe asks for an evaluation after this step: every so many, and the last."""
        every = self._run.recipe.evaluate.every
        return step == self._run.train.steps or (every > 0 and step % every == 0)

    def has(self, step: int) -> bool:
        """Whether all is measured of this step."""
        return all(self._stored(step, name) for name in self._measures)

    def step(self, step: int, model: Callable[[], Any]) -> None:
        """Measure what is missing of what is trained as it is after `step` steps; step 0 is the base model.

        `model` gives it, and is asked only where the model itself has to work.
        """
        if self.has(step):
            return
        from pipeline.steps import measures  # imports torch

        run, tools = self._run, self._tools
        compute: Mapping[str, Compute] = {
            "samples": lambda rows: measures.samples(run, tools, model(), rows),
            "scores": lambda rows: measures.scores(run, tools, self._painted(step, rows), self._pictures["train"]),
            "drifts": lambda rows: measures.drifts(run, tools, self._painted(step, rows), self._painted(0, rows)),
            "losses": lambda rows: measures.losses(run, tools, model(), rows),
            "values": lambda rows: measures.values(run, tools, model(), rows),
        }
        for name in self._measures:
            weights = self._decided_by(step, name)
            ensure(MEASURES[name].by(compute[name]), self._asked(name), self._painting, tools, weights=weights)
            if not tools.stats[-1].computed:
                tools.stats.pop()
        self.computed += 1
        tools.say(f"evaluate: step {step} done")

    def limit(self, step: int) -> None:
        """See that general prompts have not drifted too far after this step, where the recipe has a limit.

        Raises:
            GessoError: they have.
        """
        most = self._run.recipe.evaluate.max_drift
        stored = self._stored(step, "drifts") if most is not None else None
        if most is None or stored is None:
            return
        values = [row["drifts__drift"] for row in stored.table().to_pylist()]
        drift = sum(values) / len(values)
        if drift > most:
            raise GessoError(
                f"general prompts drifted by {drift:.1f} at step {step}, and evaluate.max_drift is {most:g}. "
                "Replay more general pictures (a source with role: prior, train.prior_weight), lower "
                "train.learning_rate or train.block_rates, or train for fewer steps; checkpoints of earlier steps stay."
            )

    def rows(self, name: str) -> list[Row]:
        """All steps' rows of a measure: those that the recipe asks for and that are there, each with its `step`.

        Samples by prompt and seed have their `png`, scores by metric, prompt and seed their `value`, losses by split,
        sample_id and timestep their `loss`, and values by metric, split and sample_id their `value`.
        """
        if name not in self._measures:
            return []
        steps = [0, *filter(self.due, range(1, self._run.train.steps + 1))]
        found = ((step, self._stored(step, name)) for step in steps)
        return [
            {"step": step, **row}
            for step, stored in found
            if stored
            for asked, made in zip(self._asked(name), stored.table().to_pylist(), strict=True)
            for row in _long(name, asked, made)
        ]

    def _stored(self, step: int, name: str) -> Stored | None:
        """A measure's rows of a step, where all of them are there."""
        measure = MEASURES[name]
        named = fingerprint(measure, self._painting, self._decided_by(step, name))
        folder = self._run.workspace.table_folder(name, named)
        wanted = requests_of(self._asked(name), measure.KEY, measure.READS)
        there = shards.requests(folder, measure.KEY).issuperset(wanted)
        return Stored(folder, measure.KEY, wanted, measure.ADDS) if there else None

    def _asked(self, name: str) -> list[Row]:
        """The rows that are asked of a measure at each step."""
        recipe = self._run.recipe.evaluate
        if name in ("losses", "values"):
            return [
                {column: row[column] for column in ("sample_id", "pixel_id", "split", "caption")}
                for rows in self._pictures.values()
                for row in rows
            ]
        asked = {
            "scores": recipe.prompts,
            "drifts": recipe.general_prompts,
            "samples": dict.fromkeys((*recipe.prompts, *recipe.general_prompts)),
        }[name]
        return [{"prompt": prompt, "seed": seed} for prompt in asked for seed in recipe.seeds]

    def _decided_by(self, step: int, name: str) -> str:
        """Digest of what decides a measure's rows beside what they are asked for: the model's state above all."""
        model = [self._base, *([self._training.name, step] if step else [])]
        if name == "losses":
            return digest([model, self._run.json("trainset")["encoded"]])
        if name == "values":  # a CLIP looks for each picture among all
            among = {
                split: [[row["pixel_id"], row["caption"]] for row in rows] for split, rows in self._pictures.items()
            }
            return digest([model, self._run.json("trainset")["encoded"], among])
        painted = digest([model, self._painting.model_dump(mode="json"), self._run.recipe.buckets.resolution])
        if name == "samples":
            return painted
        if name == "drifts":
            return digest([painted, self._decided_by(0, "samples"), self._clip])
        compared = sorted(row["pixel_id"] for row in self._pictures["train"])
        return digest([painted, self._clip, compared, self._run.recipe.buckets.model_dump()])

    def _painted(self, step: int, rows: Sequence[Row]) -> list[Row]:
        """The rows with the pictures that were painted for them."""
        stored = self._stored(step, "samples")
        pictures = stored.table().to_pylist() if stored else []
        found = {(row["prompt"], row["seed"]): row["samples__png"] for row in pictures}
        return [{**row, "png": found[row["prompt"], row["seed"]]} for row in rows]

    @property
    def _painting(self) -> Evaluate:
        """How samples are painted, whatever they show, whoever scores them and whenever."""
        others = {"prompts": (), "seeds": (), "every": 0, "clip": "", "general_prompts": (), "max_drift": None}
        return self._run.recipe.evaluate.model_copy(update=others)

    @cached_property
    def _base(self) -> list[Any]:
        recipe = self._run.located
        hashes, computes = learning.hashes(recipe), list[str]()
        if learning.learns(recipe) == "unet":
            folder = learning.locate(recipe)
            hashes |= {"vae": weights_hash(folder, "vae"), "text_encoder": text_hash(folder)}
            computes += [recipe.train.mixed_precision] if recipe.train.mixed_precision != "no" else []
        drawn = [recipe.train.seed] if recipe.base_model.scratch else []
        return [*(hashes[part] for part in sorted(hashes)), recipe.train.zero_terminal_snr, *drawn, *computes]

    @property
    def _measures(self) -> Sequence[str]:
        """What is measured of the model that the run's method trains."""
        if learning.learns(self._run.recipe) != "unet":
            return ("values",)
        drifts = ("drifts",) if self._run.recipe.evaluate.general_prompts else ()
        return ("samples", "scores", *drifts, "losses")

    @cached_property
    def _clip(self) -> str:
        """Hash of the CLIP that scores samples, where there are any."""
        if not self._asked("samples"):
            return ""
        return weights_hash(locate(self._run.recipe.evaluate.clip, part="clip", field="evaluate.clip"))

    @cached_property
    def _pictures(self) -> dict[str, list[Row]]:
        """The pictures of each split that a model is measured on, as rows of the training set."""
        columns = ("sample_id", "pixel_id", "view", "split", "caption", "transforms", "repeats")
        plain = [row for row in self._run.rows("views", columns) if row["view"] == 0]
        most = MOST_PICTURES if "losses" in self._measures else MOST_SEEN
        found = {
            split: [row for row in plain if row["split"] == split][:most] for split in ("train", "held_out", "prior")
        }
        if "losses" not in self._measures or not found["prior"]:
            del found["prior"]
        return found


def _long(name: str, asked: Row, made: Row) -> list[Row]:
    """A measure's row as rows of one value each."""
    if name == "samples":
        return [{**asked, "png": made["samples__png"]}]
    if name == "scores":
        return [
            {"metric": metric, **asked, "value": made[f"scores__{metric}"]} for metric in ("clip_score", "clip_image")
        ]
    if name == "drifts":
        return [{"metric": "drift", **asked, "value": made["drifts__drift"]}]
    picture = {"split": asked["split"], "sample_id": asked["sample_id"]}
    if name == "values":
        named = zip(made["values__metrics"], made["values__values"], strict=True)
        return [{**picture, "metric": metric, "value": value} for metric, value in named]
    pairs = zip(made["losses__timesteps"], made["losses__losses"], strict=True)
    return [{**picture, "timestep": timestep, "loss": loss} for timestep, loss in pairs]
