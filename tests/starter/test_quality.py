import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.starter import drawing, pictures, quality

colors = st.sampled_from(sorted(drawing.COLORS))


def plate(ground, *, thing=None, side=20, at=22):
    """64 px of a colour, with a square of another."""
    pixels = np.full((64, 64, 3), drawing.COLORS[ground], np.uint8)
    if thing:
        pixels[at : at + side, at : at + side] = drawing.COLORS[thing]
    return pixels


def test_each_colour_is_nearest_to_itself():
    names = list(drawing.COLORS)
    assert quality.nearest_colors(np.array([drawing.COLORS[name] for name in names], np.float64)) == names


@given(value=st.tuples(*[st.floats(0, 255)] * 3))
def test_the_nearest_is_the_nearest(value):
    (found,) = quality.nearest_colors(np.array([value]))
    apart = {
        name: sum((a - b) ** 2 for a, b in zip(color, value, strict=True)) for name, color in drawing.COLORS.items()
    }
    assert apart[found] == pytest.approx(min(apart.values()))


@given(ground=colors, thing=colors)
def test_ground_and_thing_are_seen(ground, thing):
    assert quality.seen(plate(ground, thing=thing)) == (ground, None if thing == ground else thing)


def test_too_little_is_no_thing():
    assert quality.seen(plate("blue", thing="red", side=6)) == ("blue", None)
    assert quality.seen(plate("blue", thing="red", side=7)) == ("blue", "red")
    assert quality.seen(plate("blue")) == ("blue", None)


def test_an_outline_does_not_go_before_what_it_surrounds():
    pixels = plate("yellow", thing="black", side=30, at=16)
    pixels[21:41, 21:41] = drawing.COLORS["red"]
    assert (pixels == drawing.COLORS["black"]).all(axis=2).sum() > (pixels == drawing.COLORS["red"]).all(axis=2).sum()
    assert quality.seen(pixels) == ("yellow", "red")


@given(seed=st.integers(0, 5000), amount=st.floats(0, 12))
def test_a_little_noise_hides_nothing(seed, amount):
    pixels = plate("green", thing="pink").astype(float)
    noisy = pixels + np.random.default_rng(seed).normal(0, amount, pixels.shape)
    assert quality.seen(np.clip(noisy, 0, 255).astype(np.uint8)) == ("green", "pink")


def test_painted_counts_what_the_pipeline_paints(monkeypatch):
    scenes = [pictures.scene(40_000_000 + seed, held_out=True) for seed in range(30)]

    class Painter:
        """Paints what it is asked for, but every fifth ground and no thing of the last ten."""

        done = 0

        @classmethod
        def from_pretrained(cls, folder, **how):
            return cls()

        def to(self, dtype):
            return self

        def set_progress_bar_config(self, *, disable):
            assert disable

        def __call__(self, prompts, *, generator, **how):
            made = []
            assert len(prompts) == len(generator)
            for prompt in prompts:
                one, number = scenes[self.done], self.done
                assert f"{one.background} background" in prompt
                other = next(name for name in drawing.COLORS if name != one.background)
                ground = one.background if number % 5 else other
                made.append(plate(ground, thing=None if number >= 20 else one.color) / 255)
                self.done += 1
            self.images = np.stack(made)
            return self

    monkeypatch.setattr(quality, "StableDiffusionPipeline", Painter)
    found = quality.painted("nowhere", count=30)
    assert found["background"] == pytest.approx(24 / 30)
    assert 0.5 < found["color"] <= 20 / 30
