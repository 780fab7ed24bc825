import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from pipeline import models
from pipeline.original import tokenizer
from pipeline.trainset.lengths import Ruler, surely_read


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


HARD = st.text() | st.lists(
    st.sampled_from(
        ["dog", "Dog's", "it's", "10,000", "ß", "İ", "e\u0301", "漢字", "😀", "!!!", "<|endoftext|>", "\t", "\n"]
    )
).map(" ".join)


@pytest.fixture(scope="module", params=["!", "<|endoftext|>", None])
def published(request, tmp_path_factory):
    """CLIP's own tokenizer as transformers reads it, and a ruler by the files that models on the hub have, or none."""
    folder = tmp_path_factory.mktemp("published")
    (folder / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    place = folder / "tokenizer"
    tokenizer.write(place, pad=request.param or "<|endoftext|>")
    theirs = CLIPTokenizer.from_pretrained(place, local_files_only=True)
    (place / "tokenizer.json").unlink()
    return theirs, Ruler(folder if request.param else None)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=HARD, times=st.sampled_from([1, 30]))
def test_tokens_are_those_of_transformers(published, text, times):
    theirs, ruler = published
    caption = ", ".join([text.encode("utf-8", "replace").decode()] * times)
    found = theirs(caption, return_offsets_mapping=True, truncation=False, verbose=False)
    length = ruler.measure(caption)
    assert length.tokens == len(found["input_ids"])
    if length.tokens <= 77:
        assert length.read == len(caption)
    else:
        assert length.read == len(caption[: found["offset_mapping"][76][0]].rstrip())
        assert not surely_read(caption)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(caption=st.text(max_size=90))
def test_what_is_surely_read_is_read(ruler, caption):
    if surely_read(caption):
        assert ruler.measure(caption).tokens <= 77


def test_half_a_letter_is_no_error(ruler):
    assert ruler.read("a cat \udce9") == 7
