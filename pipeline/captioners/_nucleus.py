"""Words drawn from the likeliest (nucleus sampling, Holtzman et al. 2020), each caption from a stream of its own.

What `generate` of transformers draws hangs on the global stream, and so on which captions are drawn together.
"""

import random
from collections.abc import Sequence

import torch
from torch import Tensor


class Nucleus:
    """A logits processor for `generate` that leaves of every row's scores the one word that the row's stream draws.

    The nucleus is the smallest set of likeliest words whose chances sum to `share` (0 to 1); words in it are drawn by
    their chance. A row's n-th word takes the n-th number of its stream; `seeds` are one a row.
    """

    def __init__(self, share: float, seeds: Sequence[str]) -> None:
        self._share = share
        self._streams = [random.Random(seed) for seed in seeds]  # noqa: S311 (no secret hangs on it)
        self._told: list[Tensor] = []

    def __call__(self, ids: Tensor, scores: Tensor) -> Tensor:  # noqa: ARG002 (transformers' own signature)
        """Scores (rows x words) with -inf everywhere but at the word that is drawn."""
        chances, order = scores.double().softmax(dim=-1).sort(dim=-1, descending=True, stable=True)
        sums = chances.cumsum(dim=-1)
        # a word belongs to it while those before it have less than the share: at least the likeliest does
        inside = sums - chances < self._share
        whole = (chances * inside).sum(dim=-1, keepdim=True)
        drawn = torch.tensor([[one.random()] for one in self._streams], dtype=sums.dtype, device=sums.device)
        places = (sums <= drawn * whole).sum(dim=-1, keepdim=True).clamp(max=inside.sum(dim=-1, keepdim=True) - 1)
        self._told.append(chances.gather(-1, places).log().squeeze(-1))
        chosen = torch.full_like(scores, -torch.inf)
        return chosen.scatter(-1, order.gather(-1, places), 0.0)

    def likelihoods(self, counts: Sequence[int]) -> list[float]:
        """Mean log chance of each row's first `counts` words, in the model's own eyes: higher is likelier."""
        told = torch.stack(self._told, dim=-1).tolist()
        return [sum(row[:count]) / max(count, 1) for row, count in zip(told, counts, strict=True)]
