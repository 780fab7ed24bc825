import numpy as np
import torch

from pipeline.metrics._clip import BATCH, Clip
from pipeline.starter import pictures


def drawn(count):
    return [pictures.picture(20_000_000 + seed, held_out=True) for seed in range(count)]


def test_directions_are_unit_vectors_in_one_space():
    clip = Clip("starter")
    some = drawn(3)
    seen, said = clip.pictures([one.pixels for one in some]), clip.texts([one.caption for one in some])
    assert seen.shape == said.shape == (3, 128)
    for directions in (seen, said):
        torch.testing.assert_close(directions.norm(dim=1), torch.ones(3))


def test_a_picture_points_where_its_caption_does():
    clip = Clip("starter")
    some = drawn(20)
    cosines = clip.texts([one.caption for one in some]) @ clip.pictures([one.pixels for one in some]).T
    assert (cosines.argmax(dim=1) == torch.arange(20)).float().mean() >= 0.9


def test_company_in_a_batch_changes_nothing():
    clip = Clip("starter")
    some = [one.pixels for one in drawn(BATCH + 1)]
    whole = clip.pictures(some)
    torch.testing.assert_close(whole[BATCH:], clip.pictures(some[BATCH:]), atol=1e-4, rtol=0)


def test_read_only_pixels_are_read():
    pixels = np.array(drawn(1)[0].pixels)
    pixels.flags.writeable = False
    assert Clip("starter").pictures([pixels]).shape == (1, 128)
