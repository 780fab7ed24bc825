import pytest

from pipeline.review.columns import COLUMNS, NEEDED, WORDS, explained, known


@pytest.mark.parametrize("header", ["machine_caption", "Machine caption", " MACHINE-CAPTION", "\ufeffmachine  caption"])
def test_a_column_is_known_in_any_case(header):
    assert known(header) == "machine_caption"


def test_every_column_and_word_is_explained():
    page = explained()
    assert set(NEEDED) <= set(COLUMNS)
    assert [line.split()[0] for line in page.splitlines()[: len(COLUMNS)]] == list(COLUMNS)
    assert all(f"{word}:" in COLUMNS["decision"] for word in WORDS)
