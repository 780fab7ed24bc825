"""The loss of a UNet on a batch: what it makes of noisy latents, held against what it should have made."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from pipeline.training.data import Batch, Examples, Turns
from pipeline.training.later import moved
from pipeline.training.noise import Drawn, draw, seed_of
from pipeline.training.objective import Objective
from pipeline.training.painter import Painter
from pipeline.training.parts import Part
from pipeline.training.settings import TrainSettings

PRIOR = 2
"""Marks the seed of class pictures, apart from that of the subject's."""
FEW_POSITIONS = 1024
"""Latents of this many positions, such as 32 x 32, and fewer attend on a CPU by plain products."""


@dataclass
class Denoising:
    """The losses of a painter on batches of `examples`; `autocast` gives the number format of the models' own pass.

    Raises ValueError where the settings ask for zero terminal SNR and the objective's schedule does not have it.
    """

    painter: Painter
    examples: Examples
    objective: Objective
    settings: TrainSettings
    device: torch.device = field(init=False)

    def __post_init__(self) -> None:
        if self.settings.zero_terminal_snr and self.objective.alphas[-1] > 0:
            raise ValueError("zero_terminal_snr needs a scheduler made with rescale_betas_zero_snr")
        self.device = self.painter.device
        self.objective = self.objective.to(self.device)

    def losses(
        self,
        batch: Batch,
        turn: int,
        autocast: AbstractContextManager[None],
        *,
        part: Part | None = None,
        drawn: "Random | None" = None,
    ) -> Tensor:
        """The loss of each example, B float32, with the noise, timesteps and dropped captions of the turn.

        Those of a `part` have the noise that they have in the whole batch, and a like share of the class pictures.
        `drawn` is what `draw` gave of the turn, where that was called before.

        Where there are class pictures, as many of them are looked at in the same turn, and each loss is l + w * p, with
        the mean p of theirs: a step's loss is mean(l) + w * mean(p) (Ruiz et al. 2022, DreamBooth, equation 2).
        """
        drawn = self.draw(batch, turn) if drawn is None else drawn
        with autocast:  # it may be entered once
            losses = self._own(batch, drawn.own, part)
            if self._prior is None or drawn.prior is None:
                return losses
            if part is not None:
                return losses + self._prior.of_part(*drawn.prior, part)
            return losses + self._prior.weighed(*drawn.prior)

    def draw(self, batch: Batch, turn: int) -> "Random":
        """What is random in a turn, and its class pictures; reads no model, so that it may be called ahead."""
        return Random(self._drawn(batch, turn), self._prior.ready(turn) if self._prior is not None else None)

    def _drawn(self, batch: Batch, turn: int) -> Drawn:
        return draw(
            batch,
            self.examples,
            seed=self.seed,
            turn=turn,
            timesteps=len(self.objective.alphas),
            noise_offset=self.settings.noise_offset,
            caption_dropout=self.settings.caption_dropout,
            logit=self.settings.logit,
        )

    def _own(self, batch: Batch, drawn: Drawn, part: Part | None) -> Tensor:
        if part is not None:
            batch, drawn = batch.part(part.all), drawn.part(part.all)
        drawn = drawn.to(self.device)
        noisy = self.objective.noised(drawn.latents, drawn.noise, drawn.timesteps)
        with self._attention(drawn.latents):
            told = self.painter.told(batch, self.examples, dropped=drawn.dropped)
            answer = self.painter.unet(noisy, drawn.timesteps, **told.arguments()).sample
        return self.objective.losses(answer, drawn.latents, drawn.noise, drawn.timesteps, mask=self._mask(batch))

    def _mask(self, batch: Batch) -> Tensor | None:
        """How much each latent cell counts: as its mask says, but `unmasked_weight` at least."""
        if batch.mask is None or not self.settings.masked_loss:
            return None
        return moved(batch.mask, self.device).clamp(min=self.settings.unmasked_weight)

    @cached_property
    def seed(self) -> int:
        """Of noise, timesteps and dropped captions."""
        return self.settings.seed

    @cached_property
    def _prior(self) -> "_Prior | None":
        if self.examples.prior is None or not self.settings.prior_weight:
            return None
        return _Prior(self.painter, self.examples.prior, self.objective, self.settings)

    def _attention(self, latents: Tensor) -> AbstractContextManager[None]:
        """How the UNet attends over `latents`, B x C x h x w.

        On a CPU, the backward pass of torch's own fused attention takes a 64 px model 1.4 times as long as plain
        products do; those keep all of a layer's weights in memory, which large latents cannot. With gradient
        checkpointing the backward pass computes once more, outside of this, and must find the same.
        """
        few = latents.device.type == "cpu" and latents[0, 0].numel() <= FEW_POSITIONS
        return sdpa_kernel(SDPBackend.MATH) if few and not self.settings.gradient_checkpointing else nullcontext()


@dataclass(frozen=True)
class Random:
    """What is random in a turn: its `own`, and that of its class pictures with the pictures themselves."""

    own: Drawn
    prior: tuple[Batch, Drawn] | None = None


class _Prior(Denoising):
    """The losses on class pictures, which have an order and a noise of their own."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._turns = Turns(self.examples, batch_size=self.settings.batch_size, seed=self.seed)

    @cached_property
    def seed(self) -> int:
        """Another stream than the subject's."""
        return seed_of(self.settings.seed, PRIOR)

    def ready(self, turn: int) -> tuple[Batch, Drawn]:
        """The turn's class pictures, and what is drawn for them."""
        batch = self.examples.batch(self._turns.rows(turn))
        return batch, self._drawn(batch, turn)

    def weighed(self, batch: Batch, drawn: Drawn) -> Tensor:
        """The weighted mean loss of a turn's class pictures."""
        return self.settings.prior_weight * self._own(batch, drawn, None).mean()

    def of_part(self, batch: Batch, drawn: Drawn, part: Part) -> Tensor:
        """What each example of a `part` of the subject's batch takes up, so that all together take up what is weighed.

        Only the part's own share of the class pictures is looked at.
        """
        share = part.among(len(batch.rows))
        if not len(share):
            return torch.zeros((), device=self.device)
        each = self.settings.prior_weight * part.of / (len(batch.rows) * len(part))
        return each * self._own(batch, drawn, share).sum()
