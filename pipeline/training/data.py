"""A training set as the training sees it: moments, text embeddings, and the order in which they come."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Examples of one size, ready for the model.

    `moments` is B x 2C x h x w float32: mean and log-variance of the VAE's posterior, neither scaled nor shifted.
    `text` is B x 77 x D float32, the captions as the text encoders' hidden states; where the encoders are at work in
    each step it is None, and they read `captions`. SDXL has two things more: `pooled`, B x P, the captions' summaries,
    and `time_ids`, B x 6, how each picture was cut, see `trainset.crops`. `ids` names the samples, for messages; `rows`
    are their indices in the training set. `mask` is B x 1 x h x w, how much each latent cell counts, 0 to 1; None: all.
    """

    moments: Tensor
    text: Tensor | None
    ids: tuple[str, ...]
    rows: tuple[int, ...]
    pooled: Tensor | None = None
    time_ids: Tensor | None = None
    captions: tuple[str, ...] = ()
    mask: Tensor | None = None

    def part(self, which: slice) -> "Batch":
        """Some of its examples; whatever a batch has, it has for each of them."""
        has: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self)}
        some: dict[str, Any] = {name: None if value is None else value[which] for name, value in has.items()}
        return Batch(**some)


class Named(Protocol):
    """A batch of any kind: whatever a method reads, and whose it is."""

    @property
    def ids(self) -> tuple[str, ...]:
        """The samples' names."""


class Rows(Protocol):
    """A training set of any kind; rows are counted from 0, and a row is one view of one sample with its caption."""

    @property
    def sizes(self) -> Sequence[tuple[int, int]]:
        """Height and width of every row's latents or pixels; rows of one batch share them (aspect buckets)."""

    @property
    def repeats(self) -> Sequence[int]:
        """How often every row comes in an epoch, 0 or more."""

    @property
    def digest(self) -> str:
        """Name of the training set's content; the same content has the same name."""

    def batch(self, rows: Sequence[int]) -> Named:
        """Read rows of one size."""


class Examples(Rows, Protocol):
    """A training set of latents and text embeddings, for a UNet."""

    @property
    def empty_text(self) -> Tensor:
        """What a dropped caption leaves, 77 x D float32: the empty caption's embedding; zeros for most of SDXL."""

    @property
    def empty_pooled(self) -> Tensor | None:
        """The summary that belongs to `empty_text`, P float32, where batches have summaries."""

    @property
    def prior(self) -> "Examples | None":
        """Class pictures, to be learned from beside these, where there are any."""

    @property
    def scale(self) -> float:
        """Factor from shifted latents to what the UNet sees: (z - shift) * scale."""

    @property
    def shift(self) -> float:
        """Offset of the latents, 0 for Stable Diffusion 1.x to XL."""

    def batch(self, rows: Sequence[int]) -> Batch:
        """Read rows of one size."""


@dataclass
class MemoryExamples:
    """A training set of tensors in memory.

    `moments` is N x 2C x h x w, or N tensors of 2C x h x w of several sizes. `text` is U x 77 x D, and `captions`
    says which of its U entries belongs to each row (left out: entry i to row i). Any float type; batches are float32.
    For SDXL there are `pooled`, U x P, with `empty_pooled`, and `time_ids`, N x 6. `words` are the U captions
    themselves, for text encoders that are at work in each step. `masks` are N of h x w, or none.
    """

    moments: Tensor | Sequence[Tensor]
    text: Tensor
    empty_text: Tensor
    scale: float
    shift: float = 0.0
    captions: Sequence[int] | None = None
    repeats: Sequence[int] = ()
    ids: Sequence[str] = ()
    pooled: Tensor | None = None
    empty_pooled: Tensor | None = None
    time_ids: Tensor | None = None
    words: Sequence[str] = ()
    prior: Examples | None = None
    masks: Sequence[Tensor] = ()
    sizes: Sequence[tuple[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        count = len(self.moments)
        self.captions = range(count) if self.captions is None else self.captions
        self.repeats = self.repeats or [1] * count
        self.ids = self.ids or [f"row-{row}" for row in range(count)]
        lengths = {"captions": len(self.captions), "repeats": len(self.repeats), "ids": len(self.ids)}
        if wrong := {name: length for name, length in lengths.items() if length != count}:
            raise ValueError(f"{count} moments, but {wrong}")
        self.sizes = [(int(one.shape[-2]), int(one.shape[-1])) for one in self.moments]

    @cached_property
    def digest(self) -> str:
        """SHA-256 over every tensor's shape and bytes, the captions, repeats, scale and shift."""
        whole = hashlib.sha256(
            repr(
                (
                    self.scale,
                    self.shift,
                    list(self.captions or ()),
                    list(self.repeats),
                    list(self.ids),
                    list(self.words),
                )
            ).encode()
        )
        more = [one for one in (self.pooled, self.empty_pooled, self.time_ids) if one is not None]
        for tensor in (*self.moments, self.text, self.empty_text, *more, *self.masks):
            whole.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
            whole.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy())
        if self.prior is not None:
            whole.update(self.prior.digest.encode())
        return whole.hexdigest()

    def batch(self, rows: Sequence[int]) -> Batch:
        """Read rows of one size."""
        captions = self.captions or range(len(self.moments))
        said = [captions[row] for row in rows]
        return Batch(
            moments=torch.stack([self.moments[row] for row in rows]).float(),
            text=self.text[said].float(),
            ids=tuple(self.ids[row] for row in rows),
            rows=tuple(rows),
            captions=tuple(self.words[one] for one in said) if self.words else (),
            pooled=None if self.pooled is None else self.pooled[said].float(),
            time_ids=None if self.time_ids is None else self.time_ids[list(rows)].float(),
            mask=torch.stack([self.masks[row] for row in rows])[:, None].float() if len(self.masks) else None,
        )


def order(
    sizes: Sequence[tuple[int, int]], repeats: Sequence[int], *, batch_size: int, seed: int, epoch: int
) -> list[list[int]]:
    """One epoch as batches of rows of one size, shuffled by (seed, epoch).

    Every row comes exactly `repeats` times; the last batch of a size may be short, and none is dropped. All epochs
    have the same number of batches.
    """
    rng = np.random.default_rng([seed, epoch])
    rows_by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
    for row, (size, times) in enumerate(zip(sizes, repeats, strict=True)):
        rows_by_size[size].extend([row] * times)
    batches = []
    for size in sorted(rows_by_size):
        rows = rng.permutation(rows_by_size[size]).tolist()
        batches += [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    return [batches[index] for index in rng.permutation(len(batches))]


class Turns:
    """The endless sequence of batches of a training: turn after turn, epoch after epoch.

    It remembers nothing but the epoch at hand, so that a training can go on at any turn.
    """

    def __init__(self, examples: Rows, *, batch_size: int, seed: int) -> None:
        self._sizes, self._repeats = examples.sizes, examples.repeats
        self._batch_size, self._seed = batch_size, seed
        self._epoch, self._batches = 0, self._order(0)
        if not self._batches:
            raise ValueError("a training set without rows")

    def _order(self, epoch: int) -> list[list[int]]:
        return order(self._sizes, self._repeats, batch_size=self._batch_size, seed=self._seed, epoch=epoch)

    def __len__(self) -> int:
        """Turns in an epoch."""
        return len(self._batches)

    def rows(self, turn: int) -> list[int]:
        """Rows of the turn's batch."""
        epoch, index = divmod(turn, len(self._batches))
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, self._order(epoch)
        return self._batches[index]
