import pytest
from transformers import CLIPTokenizer

from pipeline import models
from pipeline.trainset.lengths import Ruler


@pytest.fixture(scope="module")
def ruler():
    return Ruler(models.locate("starter"))


def test_what_is_read_is_what_the_encoders_tokens_say(ruler):
    tokenizer = CLIPTokenizer.from_pretrained(models.locate("starter") / "tokenizer", local_files_only=True)
    assert ruler.longest == 77
    text = ", ".join(f"a small red circle {number} on the left" for number in range(30))
    read = ruler.read(text)
    assert 0 < read < len(text)
    cut = tokenizer(text, truncation=True)["input_ids"]
    assert tokenizer(text[:read])["input_ids"] == cut
    assert len(cut) == 77


def test_a_short_caption_is_read_to_its_end(ruler):
    for text in ("", "a big red circle", "é ü 漢字", "a " * 75):
        assert ruler.read(text) == len(text)
    assert ruler.read("a " * 76) == len("a " * 75) - 1
