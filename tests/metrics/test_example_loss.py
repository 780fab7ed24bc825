from dataclasses import dataclass, field

import pytest
import torch

from pipeline.metrics import example_loss


@dataclass
class Pictures:
    """Rows of two sizes, whose pixels are their own number."""

    count: int = 7
    asked: list = field(default_factory=list)

    @property
    def rows(self):
        return range(self.count)

    @property
    def sizes(self):
        return [(4, 4 + 4 * (row % 2)) for row in self.rows]

    def batch(self, rows):
        self.asked.append(list(rows))
        return torch.tensor([float(row) for row in rows], requires_grad=True)


def test_each_row_has_its_own_loss_whatever_its_batch():
    pictures = Pictures()
    assert example_loss.measure(lambda batch: 10 * batch, pictures) == [10.0 * row for row in range(7)]
    assert pictures.asked == [[0, 2, 4, 6], [1, 3, 5]]


@pytest.mark.parametrize("size", [1, 2, 3, 64])
def test_batches_have_every_row_once_and_one_size_each(size):
    pictures = Pictures()
    made = example_loss.batches(pictures, size=size)
    assert sorted(row for rows in made for row in rows) == list(range(7))
    assert all(len(rows) <= size and len({pictures.sizes[row] for row in rows}) == 1 for rows in made)


def test_nothing_is_kept_for_a_backward_pass():
    seen = []
    example_loss.measure(lambda batch: seen.append((batch * 2).requires_grad) or batch, Pictures())
    assert not any(seen)
