from hypothesis import given
from hypothesis import strategies as st

from pipeline.captioners import sidecar


def caption(*texts):
    return sidecar.caption([{"sidecar": text} for text in texts], sidecar.Params())


def test_the_text_beside_the_file_is_the_caption():
    assert caption("a red  fox\n", "", None) == ["a red fox", "", ""]
    assert caption("cafe\u0301 sign\t\r\n at night") == ["caf\u00e9 sign at night"]
    assert sidecar.weights(sidecar.Params()) == ""
    assert sidecar.provenance(sidecar.Params()) == "sidecar"


@given(st.lists(st.text()))
def test_one_line_each_and_a_second_time_changes_nothing(texts):
    once = caption(*texts)
    assert len(once) == len(texts)
    assert caption(*once) == once
    assert all(text == text.strip() and len(text.splitlines()) < 2 for text in once)
