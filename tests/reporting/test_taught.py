from dataclasses import replace

from pipeline.lessons import Read, lessons
from pipeline.reporting import taught
from pipeline.reporting.pictures import Album


def test_who_needed_a_hand_which_flags_and_which_words(record):
    read = [Read("a dog", "a dog by the sea", "blip", ("very short",)), Read("a cat", "a cat", "sidecar")]
    told = taught.groups(replace(record, lessons=lessons(read)), Album({}))
    assert [(kind, one.name, one.edited) for kind, one, _ in told["groups"]] == [
        ("from", "blip", 1), ("from", "sidecar", 0), ("flag", "very short", 1),
    ]  # fmt: skip
    assert told["terms"] == [("put in", (("sea", 1), ("the", 1)))]


def test_without_a_review_there_is_nothing_to_show(record):
    assert taught.groups(replace(record, lessons=None), Album({})) == {}
