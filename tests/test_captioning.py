import pytest
from pydantic import ValidationError

from pipeline.captioning import Caption, Tags


@pytest.mark.parametrize("part", [Caption, Tags])
def test_every_part_is_frozen_described_and_refuses_what_it_does_not_know(part):
    assert part.__doc__
    assert part.model_config["frozen"]
    assert part.model_config["extra"] == "forbid"
    assert all(field.description for field in part.model_fields.values())
    assert part.model_validate(part().model_dump()) == part()


@pytest.mark.parametrize("compose", ["", "{body}", "photo of {trigger} {class}, {body}", "{{literally}} {body}"])
def test_templates_that_are_fine(compose):
    assert Caption(compose=compose).compose == compose


@pytest.mark.parametrize(
    ("compose", "message"),
    [("{boby}", r"not \['boby'\]"), ("{body", "brace"), ("{body.x}", "not"), ("{tags}, {body}", "says of no tagger")],
)
def test_templates_that_are_not(compose, message):
    with pytest.raises(ValidationError, match=message):
        Caption(compose=compose)


def test_tags_and_sidecars_may_stand_in_it():
    made = Caption(compose="{tags}, {sidecar}, {body}", tags=Tags(tagger="wd14", model="me/tagger", params={"most": 3}))
    assert made.tags.tagger_params == {"most": 3, "model": "me/tagger"}
    assert Caption(revision="abc", params={"seed": 1}).captioner_params == {"seed": 1, "revision": "abc"}


@pytest.mark.parametrize(
    ("replace", "message"),
    [({"": "x"}, "at least a letter"), ({" , ": ""}, "at least a letter"), ({"Dog": "a", "dog ": "b"}, "there twice")],
)
def test_replacements_that_are_none(replace, message):
    with pytest.raises(ValidationError, match=message):
        Caption(replace=replace)
    assert Caption(replace={"a dog": "", "dog": "corgi"}).replace["a dog"] == ""
