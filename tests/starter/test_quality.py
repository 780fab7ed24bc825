import numpy as np
import pytest

from pipeline.starter import judge, pictures, quality, wording


class Seer:
    """Knows the pictures that it has been shown the truth of, and is wrong about every fifth ground."""

    def __init__(self, *parts):
        self.known = [
            (pixels, judge.truth(scene)) for shown, scenes in parts for pixels, scene in zip(shown, scenes, strict=True)
        ]
        self.asked = []

    def look(self, shown):
        self.asked.append(len(shown))
        said = []
        for at, pixels in enumerate(shown):
            told = next(told for known, told in self.known if (known == pixels).all())
            said.append(told | ({"background": "nothing"} if at % 5 == 0 else {}))
        return said


def test_held_out_scenes_are_held_out_and_of_as_many_things_as_asked_for():
    for things in (1, 2):
        scenes = quality.held_out(things, 40)
        assert all(one.held_out and len(one.things) == things for one in scenes)
        assert len(set(scenes)) > 35


def test_only_the_right_answers_count():
    one, two = quality.held_out(1, 4), quality.held_out(2, 4)
    said = [[judge.truth(scene) for scene in scenes] for scenes in (one, two)]
    flawless = quality.right([(one, said[0]), (two, said[1])])
    assert flawless == dict.fromkeys([*quality.ALONE, "both_colors"], 1.0)
    for at, name in enumerate(quality.ALONE[:3]):
        said[0][at][name] = "wrong"
    said[1][0]["color"] = said[1][1]["other_color"] = said[1][2]["other_shape"] = "wrong"
    found = quality.right([(one, said[0]), (two, said[1])])
    assert found == flawless | {**dict.fromkeys(quality.ALONE[:3], 0.75), "both_colors": 0.5}


def test_the_judge_is_held_against_what_the_generator_draws():
    shown = [
        ([pictures.render(one, seed=at) for at, one in enumerate(scenes)], scenes)
        for scenes in (quality.held_out(things, 10) for things in (1, 2))
    ]
    seer = Seer(*shown)
    assert quality.judged(seer, count=10) == dict.fromkeys([*quality.ALONE, "both_colors"], 1.0) | {"background": 0.8}
    assert seer.asked == [10, 10]


class Painter:
    """Draws what it is asked for, from the prompt alone."""

    def __init__(self, scenes):
        self.by_prompt = {wording.caption(one, seed=at): one for some in scenes for at, one in enumerate(some)}
        self.batches, self.seeds = [], []

    def to(self, dtype):
        return self

    def set_progress_bar_config(self, *, disable):
        assert disable

    def __call__(self, prompts, *, generator, height, width, output_type, **how):
        self.batches.append(len(prompts))
        self.seeds += [one.initial_seed() for one in generator]
        self.images = np.stack([pictures.render(self.by_prompt[one], side=height) / 255 for one in prompts])
        assert self.images.shape == (len(prompts), height, width, 3)
        return self


def test_painted_counts_what_the_pipeline_paints(monkeypatch):
    scenes = [quality.held_out(things, 30) for things in (1, 2)]
    painter = Painter(scenes)
    monkeypatch.setattr(quality.models, "load_pipeline", lambda folder: painter)
    seer = Seer(*(([pictures.render(one) for one in some], some) for some in scenes))
    found = quality.painted("nowhere", seer, count=30)
    assert found == pytest.approx(dict.fromkeys([*quality.ALONE, "both_colors"], 1.0) | {"background": 0.8})
    assert painter.batches == [25, 5, 25, 5]
    assert painter.seeds == [*range(30)] * 2
