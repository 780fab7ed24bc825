import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BlipImageProcessor, ConvNextImageProcessor

from pipeline.captioners._looking import ready

PROCESSORS = [
    BlipImageProcessor(),
    BlipImageProcessor(size={"height": 64, "width": 48}, image_mean=[0.5, 0.4, 0.3], image_std=[0.5, 0.2, 0.1]),
    BlipImageProcessor(size={"height": 32, "width": 32}, resample=2),
    BlipImageProcessor(size={"height": 32, "width": 32}, do_normalize=False),
    ConvNextImageProcessor(size={"shortest_edge": 40}),
]
"""The last two do not do what BLIP's own does: they are asked themselves."""


def noise(height, width, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    pixels.setflags(write=False)
    return pixels


def by_transformers(processor, pixels):
    return processor(images=pixels.copy(), return_tensors="pt", input_data_format="channels_last")["pixel_values"][0]


@settings(max_examples=60, deadline=None)
@given(which=st.sampled_from(range(len(PROCESSORS))), height=st.integers(2, 300), width=st.integers(2, 300))
def test_it_is_what_transformers_gives_bit_for_bit(which, height, width):
    pixels = noise(height, width, seed=height)
    made = ready(PROCESSORS[which], pixels)
    assert torch.equal(made, by_transformers(PROCESSORS[which], pixels))
    assert made.dtype == torch.float32


@pytest.mark.parametrize("shape", [(1, 1), (3, 2000), (1200, 900)])
def test_so_it_is_at_sizes_that_are_no_photographs(shape):
    assert torch.equal(ready(PROCESSORS[0], noise(*shape)), by_transformers(PROCESSORS[0], noise(*shape)))


def test_a_photograph_takes_a_fraction_of_the_time():
    pixels = noise(2000, 1500)

    def least(make):
        taken = []
        for _ in range(5):
            began = time.process_time()
            make(PROCESSORS[0], pixels)
            taken.append(time.process_time() - began)
        return min(taken)

    assert least(ready) < 0.6 * least(by_transformers)
