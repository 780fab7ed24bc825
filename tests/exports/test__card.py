import pytest
import yaml

from pipeline.exports import _card, imagefolder


def test_the_card_says_to_a_hub_and_to_people_what_the_set_is(made):
    pictures, _ = made
    card = _card.card(pictures, title="My *set*: 1", files=imagefolder.FILES, facts={"Digest": "abc"})
    _, head, body = card.split("---\n", 2)
    told = yaml.safe_load(head)
    assert told["license"] == ["cc-by-4.0", "cc0-1.0", "other"]
    assert told["pretty_name"] == "My *set*: 1"
    assert told["size_categories"] == ["n<1K"]
    (config,) = told["configs"]
    assert config["data_files"] == [
        {"split": "train", "path": "train/**"},
        {"split": "validation", "path": "validation/**"},
        {"split": "prior", "path": "prior/**"},
    ]
    assert "# My \\*set\\*: 1" in body
    assert "- Digest: abc" in body
    assert "3 to train on, 2 held out, 1 of the class" in body


@pytest.mark.parametrize(
    ("spdx", "hub"),
    [("CC-BY-SA-4.0", "cc-by-sa-4.0"), ("LicenseRef-Unsplash", "other"), (None, "unknown"), ("MIT", "mit")],
)
def test_licences_have_the_hubs_names(spdx, hub):
    assert _card.license_of(spdx) == hub


@pytest.mark.parametrize(("count", "word"), [(999, "n<1K"), (1000, "1K<n<10K"), (10**8, "n>10M")])
def test_sizes_have_the_hubs_words(count, word):
    assert _card.size_category(count) == word
