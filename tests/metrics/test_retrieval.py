from types import SimpleNamespace

import torch

from pipeline.metrics import retrieval

DIRECTIONS = torch.eye(8)


class Pictures:
    """Each row's pixels and caption are its number; rows 4 and 5 have the same caption."""

    def __init__(self, count=6):
        self.rows = [{"caption": "4" if row == 5 else str(row)} for row in range(count)]
        self.sizes = [(64, 64)] * count

    def batch(self, rows):
        pixels = torch.stack([torch.full((3, 64, 64), row, dtype=torch.uint8) for row in rows])
        return SimpleNamespace(pixels=pixels, captions=[self.rows[row]["caption"] for row in rows])


class Processor:
    def image_processor(self, *, images, return_tensors):
        return {"pixel_values": torch.stack([one[0, 0, 0].long() for one in images])}

    def tokenizer(self, captions, **_):
        class Text(dict):
            def to(self, _):
                return self

        return Text(input_ids=torch.tensor([int(one) for one in captions]))


class Sees:
    """Knows each picture, but takes a caption for that of `wrong`'s picture where it is told to."""

    device = torch.device("cpu")

    def __init__(self, wrong):
        self.wrong = wrong

    def __call__(self, *, pixel_values, input_ids):
        said = torch.tensor([self.wrong.get(int(one), int(one)) for one in input_ids])
        return SimpleNamespace(image_embeds=DIRECTIONS[pixel_values], text_embeds=DIRECTIONS[said])


def test_it_counts_captions_that_find_their_own_picture():
    assert retrieval.measure(Sees({1: 2, 3: 0}), Pictures(4), Processor()) == [100.0, 0.0, 100.0, 0.0]


def test_another_picture_of_the_same_caption_is_as_good():
    assert retrieval.measure(Sees({}), Pictures(), Processor()) == [100.0] * 6


def test_all_pictures_are_candidates_whatever_their_batch(monkeypatch):
    monkeypatch.setattr("pipeline.metrics.example_loss.BATCH", 2)
    assert retrieval.measure(Sees({0: 3}), Pictures(4), Processor())[0] == 0.0
