import pytest

from pipeline.review.damage import cosmetic, explained, suspicious


@pytest.mark.parametrize(
    ("base", "got", "how"),
    [
        ("a cat ", "a cat", "spaces"),
        ('the "red" cat - it\'s...', "the \u201cred\u201d cat \u2013 it\u2019s\u2026", "quotes, dashes or spaces"),
        ("a  cat", "a cat", "quotes, dashes or spaces"),
        ("x" * 300, "x" * 255, "cut off"),
        ("'tis a cat", "tis a cat", "apostrophes in front"),
        ("Łódź at night", "?ód? at night", "letters that the encoding lacks"),
        ("café", "caf?", "letters that the encoding lacks"),
        ("café", "cafÃ©", "another encoding"),
        ("café", "cafŽ", None),
        ("a\u200bb", "ab", "invisible characters"),
        ("½ a cat", "1\u20442 a cat", "compatible characters"),
        ("1/2", "01.Feb", "read as a number or a date"),
        ("1e5", "100000", "read as a number or a date"),
        ("-cats", "#NAME?", "read as a formula"),
        ("a cat", "a dog", None),
        ("a cat on a sofa", "a cat", None),
        ("a cat", "", None),
    ],
)
def test_explained(base, got, how):
    assert explained(base, got) == how


def test_cosmetic():
    assert cosmetic('it\'s a "cat"', "it\u2019s  a \u201ecat\u201c ")
    assert not cosmetic("a cat", "A cat")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("x" * 32_767, "cut at 32,767"),
        ("x" * 255, "just 255 characters"),
        ("a c\ufffdt", "stands for a lost one"),
        ("a cafÃ©", "another encoding"),
        ("#NAME?", "spreadsheet's error"),
        ("04.Mar", "a number or a date"),
        ("?ód? at night", "question mark"),
        ("a cat in L?d?", "question mark"),
        ("it is ?", "question mark"),
    ],
)
def test_suspicious(text, what):
    assert what in suspicious("a cat", text, lossy=False)


@pytest.mark.parametrize("text", ["a dog", "is this a dog?", "two dogs in 1969", "Łódź", "a 5 o'clock tea", "x" * 300])
def test_not_suspicious(text):
    assert suspicious("a cat", text, lossy=False) is None


def test_a_question_mark_in_a_file_that_lost_letters():
    assert "question mark" in suspicious("a cat", "in Ruhrstra?", lossy=True)
    assert suspicious("what?", "who?", lossy=False) is None
