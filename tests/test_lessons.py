from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from pipeline.lessons import Group, Read, Replacement, distance, lessons

words = st.lists(st.sampled_from(["a", "dog", "cat", "red", ",", "."]), max_size=7)


def reference(a, b):
    """Levenshtein's distance as its definition has it."""

    @cache
    def far(i, j):
        if not i or not j:
            return i + j
        return min(far(i - 1, j) + 1, far(i, j - 1) + 1, far(i - 1, j - 1) + (a[i - 1] != b[j - 1]))

    return far(len(a), len(b))


@given(words, words)
def test_a_distance_is_that_of_the_definition(a, b):
    longer = max(len(a), len(b))
    assert distance(" ".join(a), " ".join(b).upper()) == (reference(a, b) / longer if longer else 0.0)


def test_whose_captions_needed_a_hand_and_why_they_were_flagged():
    told = lessons(
        [
            Read("a dog", "a dog", "blip", ("repeated",)),
            Read("a dog", "a  dog\n", "blip", ("repeated",)),
            Read("a dog", "a dog in deep snow", "blip", ("repeated", "very short")),
            Read("", "a cat", "sidecar", ("no caption",)),
        ]
    )
    assert told.all == Group("all", 4, 2, (0.6 + 1) / 4)
    assert told.all.share == 0.5
    assert [(one.name, one.read, one.edited) for one in told.by_captioner] == [("blip", 3, 1), ("sidecar", 1, 1)]
    assert {one.name: (one.read, one.edited) for one in told.by_flag} == {
        "repeated": (3, 1), "very short": (1, 1), "no caption": (1, 1),
    }  # fmt: skip
    assert told.added == (("cat", 1), ("deep", 1), ("snow", 1))
    assert told.removed == ()


def test_what_people_write_instead_is_suggested_where_they_mostly_do():
    read = [
        *(Read(f"there is a picture of a {one}", f"a {one}", "blip") for one in ("cat", "dog", "fox")),
        *(Read(f"a brown dog by {one}", f"a Golden Retriever by {one}", "blip") for one in ("night", "day")),
        Read("a brown dog", "a brown dog", "blip"),
        # in two of five: people mean the phrase elsewhere
        *(Read(f"a small {one}", f"a tiny {one}", "blip") for one in ("cup", "car")),
        *(Read(f"a small {one}", f"a small {one}", "blip") for one in ("fish", "bird", "fly")),
        # once is no habit
        Read("a boat, red and blue", "a ship, red and blue", "blip"),
    ]
    assert lessons(read).replacements == (
        Replacement("there is a picture of", "", 3, 3),
        Replacement("brown dog", "Golden Retriever", 2, 3),
    )


def test_a_phrase_is_whole_words_and_signs_stand_where_they_belong():
    read = [
        *(Read(f"a cat, on a mat {one}", f"a cat; sitting {one}", "blip") for one in ("here", "there")),
        Read("a category , on a mat", "a category , on a mat", "blip"),
    ]
    assert lessons(read).replacements == (Replacement(", on a mat", "; sitting", 2, 3),)


def test_a_caption_written_anew_suggests_nothing():
    before, after = "one two three four five six", "seven eight nine ten eleven twelve"
    assert lessons([Read(before, after, "blip")] * 3).replacements == ()


def test_no_review_teaches_nothing():
    told = lessons([])
    assert (told.all.read, told.all.share, told.replacements) == (0, 0.0, ())
