import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.hygiene import cleaned, replaced

WORDS = [
    "a",
    "the",
    "and",
    "with",
    "picture",
    "photo",
    "of",
    "there",
    "is",
    "arafed",
    "red",
    "Red",
    "cat",
    "hat,",
    "on",
]


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("a picture of a red cat", "a red cat"),
        ("There is a photo of the sea", "the sea"),
        ("this is an image that shows two dogs", "two dogs"),
        ("arafed woman in a red dress", "woman in a red dress"),
        ("there is an arafed cat on a sofa", "there is a cat on a sofa"),
        ("a picture of a picture of a picture of a cat", "a cat"),
        ("a man with a hat with a hat with a hat", "a man with a hat"),
        ("a cat and a cat and a cat", "a cat and a cat"),
        ("a cat, a dog, a Cat, a dog, a bird", "a cat, a dog, a bird"),
        ("a red red red red circle", "a red circle"),
        ("a man on the the beach", "a man on the beach"),
        ("a boat in bora bora", "a boat in bora bora"),
        ("a kite over dunes with a", "a kite over dunes"),
        ("a painting of a picture of a cat", "a painting of a picture of a cat"),
        ("a picture of", "a picture"),
        ("arafed", "arafed"),
        ("a small red circle on a blue background", "a small red circle on a blue background"),
        ("", ""),
    ],
)
def test_what_is_left_of_what_was_said(said, left):
    found, told = cleaned(said)
    assert found == left
    assert bool(told) == (found != said)


def test_each_change_is_told():
    assert cleaned("a picture of an arafed cat cat cat with a") == (
        "a cat",
        ("took out “a picture of”", "took out “an arafed”", "“cat” once, not 3 times", "took “a” off the end",
         "took “with” off the end"),
    )  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join))
@example("a a")
@example("picture of a picture of")
def test_cleaned_again_nothing_changes_and_no_word_is_made_up(text):
    once, told = cleaned(text)
    assert cleaned(once) == (once, ())
    assert bool(once) == bool(text)
    left = iter(text.split())
    # what is left is a subsequence of what was said, but for commas and the article of an invented word
    said = {"a", "an"}
    assert all(word in said or any(word.strip(",") == other.strip(",") for other in left) for word in once.split())
    assert len(told) <= 15


@pytest.mark.parametrize(
    ("said", "instead", "left", "told"),
    [
        ("a dog on a sofa", {"dog": "corgi"}, "a corgi on a sofa", ["“corgi” instead of “dog”"]),
        ("Dog and dog", {"dog": "corgi"}, "Corgi and corgi", ["“Corgi” instead of “Dog”", "“corgi” instead of “dog”"]),
        ("a dog on a sofa", {"on a  SOFA": ""}, "a dog", ["took out “on a sofa”"]),
        ("a cat, blurry, in the sun", {"blurry": ""}, "a cat, in the sun", ["took out “blurry”"]),
        ("blurry, a cat , blurry", {"blurry": ""}, "a cat", ["took out “blurry”"]),
        ("a dog dog house", {"dog": "cat", "dog house": "kennel"}, "a cat kennel",
         ["“cat” instead of “dog”", "“kennel” instead of “dog house”"]),
        ("a hot-dog, a dog's bowl, dogs", {"dog": "cat"}, "a hot-dog, a dog's bowl, dogs", []),
        ("a cat and a dog", {"cat": "dog", "dog": "cat"}, "a dog and a cat",
         ["“dog” instead of “cat”", "“cat” instead of “dog”"]),
        ("a c++ (2.0) book", {"(2.0) book": "manual"}, "a c++ manual", ["“manual” instead of “(2.0) book”"]),
        ("dog", {"dog": ""}, "dog", []),
        ("a\ndog,  a cat", {}, "a\ndog,  a cat", []),
        ("a\ndog,  a cat", {"bird": ""}, "a\ndog,  a cat", []),
        ("größer ALS ein Haus", {"größer als": "neben"}, "neben ein Haus", ["“neben” instead of “größer ALS”"]),
    ],
)  # fmt: skip
def test_what_is_written_instead(said, instead, left, told):
    assert replaced(said, instead) == (left, tuple(told))


@given(said=st.lists(st.sampled_from(["red", "Red", "cat", "hat", "of"]), max_size=12))
def test_a_word_that_is_struck_out_is_gone_and_no_other_is(said):
    left, told = replaced(" ".join(said), {"RED": ""})
    others = [word for word in said if word.casefold() != "red"]
    assert left.split(" ") == (others or said or [""])
    assert bool(told) == (0 < len(others) < len(said))
