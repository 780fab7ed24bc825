from hypothesis import given
from hypothesis import strategies as st

from pipeline.review.versions import find, plain, read, version, written

texts = st.text(max_size=20)
verdicts = st.sampled_from([None, "keep", "drop", "unsure"])


@given(texts, verdicts, texts, verdicts)
def test_a_version_is_of_a_picture_its_caption_and_what_was_said(one, said, other, told):
    same = (plain(one), said) == (plain(other), told)
    assert (version("p", one, said) == version("p", other, told)) == same
    assert version("p", one, said) != version("q", one, said)


def test_what_no_reader_sees_is_no_other_version():
    assert version("p", "cafe\u0301\r\nnoir ", None) == version("p", "caf\u00e9\nnoir", None)


@given(st.lists(texts, unique_by=plain, min_size=1), verdicts, st.data())
def test_what_had_a_version_is_found_among_captions(captions, verdict, data):
    wanted = data.draw(st.sampled_from(captions))
    assert find(version("p", wanted, verdict), "p", captions) == (wanted, verdict)
    assert find(version("p", wanted, verdict), "q", captions) is None


def test_a_version_in_a_cell_brings_its_canary():
    assert read(written("v-0123456789ab")) == ("v-0123456789ab", "\u00e9\u0142")
    assert read(" V-0123456789AB-\u00e9? ") == ("v-0123456789ab", "\u00e9?")
    assert read("") is read("v-0123") is None
