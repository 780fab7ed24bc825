"""A judge of drawn pictures: a small network that knows nothing but the generator's truth, and says what it sees.

It measures what the starter models paint, so it shares nothing with them: no weights, no captions, no CLIP. It also
knows the kept-out subjects, in order to tell whether a fine-tuned model paints them.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from pipeline import atomic
from pipeline.starter import pictures
from pipeline.starter.drawing import Pixels
from pipeline.starter.fit import fit
from pipeline.starter.scene import COLORS, PLACES, RELATIONS, SHAPES, SIZES, Scene
from pipeline.starter.vae import to_model

NONE = ""
CLASSES: Mapping[str, tuple[str, ...]] = {
    "relation": (NONE, *RELATIONS),
    "shape": (*SHAPES, *pictures.SUBJECTS),
    "color": tuple(COLORS),
    "size": (NONE, *SIZES),
    "place": (NONE, *PLACES),
    "background": tuple(COLORS),
    "other_shape": (NONE, *SHAPES),
    "other_color": (NONE, *COLORS),
}
"""What the judge tells, and the answers it has; a thing that is alone has no relation and no other."""
STEPS, BATCH = 2000, 128
SUBJECT_SHARE = 0.1
FILE = "model.safetensors"
SEEDS = 900_000_000
"""Where the judge's own pictures begin, far from all seeds of the starter models."""


def truth(drawn: Scene) -> dict[str, str]:
    """The answers that are right for a scene."""
    return {
        "relation": drawn.relation or NONE,
        "shape": drawn.thing.shape,
        "color": drawn.thing.color,
        "size": drawn.size,
        "place": drawn.place,
        "background": drawn.background,
        "other_shape": drawn.other.shape if drawn.other else NONE,
        "other_color": drawn.other.color if drawn.other else NONE,
    }


class Judge(nn.Module):
    """Four convolutions over 64 px, then one linear layer for each question."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 32, 64, 128, 128)
        self.body = nn.Sequential()
        for before, after in pairwise(widths):
            self.body.append(nn.Conv2d(before, after, 3, padding=1))
            self.body.append(nn.GroupNorm(8, after))
            self.body.append(nn.ReLU())
            self.body.append(nn.MaxPool2d(2))
        self.neck = nn.Sequential(nn.Flatten(), nn.Linear(128 * 16, 256), nn.ReLU())
        self.heads = nn.ModuleDict({name: nn.Linear(256, len(answers)) for name, answers in CLASSES.items()})

    def forward(self, batch: Tensor) -> dict[str, Tensor]:
        """Scores of every answer to every question, N x answers, of N x 3 x 64 x 64 floats in -1 to 1."""
        seen = self.neck(self.body(batch))
        return {name: head(seen) for name, head in self.heads.items()}

    @torch.no_grad()
    def look(self, shown: Sequence[Pixels]) -> list[dict[str, str]]:
        """What each picture of 64 x 64 px shows."""
        self.eval()
        said: list[dict[str, str]] = []
        for start in range(0, len(shown), BATCH):
            scores = self(to_model(np.stack(list(shown[start : start + BATCH]))))
            best = {name: value.argmax(dim=1).tolist() for name, value in scores.items()}
            said += [{name: CLASSES[name][best[name][row]] for name in CLASSES} for row in range(len(best["relation"]))]
        return said


def train(work: Path, *, steps: int = STEPS, say: Callable[[str], None]) -> Judge:
    """Train from nothing on pictures drawn anew in each step, some of them soft or noisy as painted ones are."""
    torch.manual_seed(9)
    judge = Judge()

    def loss(step: int) -> Tensor:
        rng = np.random.default_rng([step, 9])
        drawn = [_example(SEEDS + step * BATCH + place, rng) for place in range(BATCH)]
        answers = [truth(one.scene) for one in drawn]
        scores = judge(_worn(to_model(np.stack([one.pixels for one in drawn]))))
        losses = [
            functional.cross_entropy(
                scores[name].float(), torch.tensor([CLASSES[name].index(one[name]) for one in answers])
            )
            for name in CLASSES
        ]
        return torch.stack(losses).mean()

    fit(judge, loss, steps=steps, learning_rate=2e-3, work=work, weight_decay=0.01, say=say)
    return judge


def save(judge: Judge, folder: Path) -> None:
    """Write its weights into `folder`, as float16."""
    with atomic.folder(folder) as fresh:
        save_file({name: value.half().contiguous() for name, value in judge.state_dict().items()}, fresh / FILE)


def load(folder: Path) -> Judge:
    """The judge whose weights lie in `folder`, computing in float32."""
    judge = Judge()
    judge.load_state_dict(load_file(folder / FILE))
    return judge.eval()


def _example(seed: int, rng: np.random.Generator) -> pictures.Picture:
    if rng.random() < SUBJECT_SHARE:
        return pictures.subject(pictures.SUBJECTS[rng.integers(len(pictures.SUBJECTS))], seed)
    return pictures.picture(seed)


def _worn(clean: Tensor) -> Tensor:
    """The batch with a third made soft and a third noisy."""
    soft = functional.avg_pool2d(functional.pad(clean, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    fate = torch.rand(len(clean))[:, None, None, None]
    noisy = clean + 0.12 * torch.randn_like(clean)
    return torch.where(fate < 1 / 3, soft, torch.where(fate < 2 / 3, noisy, clean))
