import json
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.starter import judge, pictures
from pipeline.starter.scene import SHAPES, scene


@given(seed=st.integers(0, 2**40), subject=st.sampled_from([None, *pictures.SUBJECTS]))
def test_every_scene_has_a_right_answer_to_every_question(seed, subject):
    drawn = pictures.subject(subject, seed, side=16).scene if subject else scene(seed)
    told = judge.truth(drawn)
    assert set(told) == set(judge.CLASSES)
    assert all(told[name] in judge.CLASSES[name] for name in told)
    assert (told["relation"] == judge.NONE) == (told["other_shape"] == judge.NONE) == (len(drawn.things) == 1)
    assert (told["size"] == judge.NONE) == (told["place"] == judge.NONE) == (len(drawn.things) == 2)


def test_every_answer_is_right_for_some_picture():
    told = [judge.truth(judge._example(seed, np.random.default_rng(seed)).scene) for seed in range(1200)]
    for name, answers in judge.CLASSES.items():
        assert set(Counter(one[name] for one in told)) == set(answers), name


class Answers(torch.nn.Module):
    """Heads that give each picture the score of its mean red for the first answer, and half of it for the second."""

    def __init__(self, many):
        super().__init__()
        self.many = many

    def forward(self, seen):
        scores = torch.full((len(seen), self.many), -9.0)
        scores[:, 0], scores[:, 1] = seen[:, 0], seen[:, 0] / 2
        return scores


def test_it_says_the_answer_with_the_highest_score():
    planted = judge.Judge()
    planted.body, planted.neck = torch.nn.Identity(), torch.nn.Sequential(torch.nn.AvgPool2d(64), torch.nn.Flatten())
    planted.heads = torch.nn.ModuleDict({name: Answers(len(answers)) for name, answers in judge.CLASSES.items()})
    bright, dark = (np.full((64, 64, 3), value, np.uint8) for value in (250, 5))
    said = planted.look([bright, dark] * judge.BATCH)
    assert len(said) == 2 * judge.BATCH
    assert said[::2] == [{name: answers[0] for name, answers in judge.CLASSES.items()}] * judge.BATCH
    assert said[1::2] == [{name: answers[1] for name, answers in judge.CLASSES.items()}] * judge.BATCH


def test_a_few_steps_of_training_lower_its_loss_until_it_is_right(tmp_path, monkeypatch):
    """Of eight pictures, shown again and again."""
    few = [*(pictures.picture(seed) for seed in range(7)), pictures.subject("snail", 1)]
    monkeypatch.setattr(judge, "BATCH", len(few))
    monkeypatch.setattr(judge, "_example", lambda seed, rng: few[seed % len(few)])
    seer = judge.train(tmp_path, steps=30, say=lambda _: None)
    loss = json.loads((tmp_path / "log.jsonl").read_text())["loss"]
    assert loss < 0.2 * np.mean([np.log(len(answers)) for answers in judge.CLASSES.values()])
    said = seer.look([one.pixels for one in few])
    right = [judge.truth(one.scene)[name] == told[name] for one, told in zip(few, said, strict=True) for name in told]
    assert np.mean(right) > 0.95


def test_training_draws_the_same_pictures_each_time_and_none_of_the_starters_own(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(judge, "BATCH", 2)
    monkeypatch.setattr(judge, "_example", lambda seed, rng: drawn.append(seed) or pictures.picture(seed))
    judge.train(tmp_path, steps=2, say=lambda _: None)
    assert drawn == [judge.SEEDS + at for at in range(4)]
    assert judge.SEEDS > 100_000_000


def test_worn_pictures_are_some_clean_some_soft_some_noisy():
    torch.manual_seed(0)
    clean = torch.zeros(300, 3, 16, 16)
    clean[..., ::2] = 1.0
    worn = judge._worn(clean)
    same = (worn == clean).flatten(1).all(dim=1)
    noisy = ~same & ((worn - clean).flatten(1).std(dim=1) < 0.2)
    soft = ~same & ~noisy
    assert [int(one.sum()) / 300 for one in (same, soft, noisy)] == pytest.approx([1 / 3] * 3, abs=0.08)
    assert (worn[soft].std(dim=(1, 2, 3)) < 0.3).all()


def test_it_knows_the_kept_out_subjects_too():
    assert judge.CLASSES["shape"] == (*SHAPES, *pictures.SUBJECTS)


def test_it_is_kept_as_float16_and_comes_back(tmp_path):
    torch.manual_seed(3)
    made = judge.Judge().eval()
    judge.save(made, tmp_path / "judge")
    back = judge.load(tmp_path / "judge")
    assert all(torch.equal(value.half().float(), back.state_dict()[name]) for name, value in made.state_dict().items())
    assert back.state_dict()["neck.1.weight"].dtype == torch.float32
    assert (tmp_path / "judge" / judge.FILE).stat().st_size < 2 * 2**20
