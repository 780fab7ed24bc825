import json
import re
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.selection import Kept
from pipeline.settings import Augment
from pipeline.trainset import build
from pipeline.workspace import Workspace

AUGMENT = Augment(views=3, transforms=({"HorizontalFlip": {"p": 0.5}}, {"RandomBrightnessContrast": None}))


def origin(name, **more):
    rights = {"license": "CC0-1.0", "license_url": None, "creator": None, "source_url": None, "attribution": None}
    return {"origin": name, **rights, "repeats": 1, "class": None, "trigger": None, "sidecar": None, **more}


def kept(name, *origins, split="train"):
    return Kept(name, f"pixels-{name}", origins or (origin(f"{name}.png"),), None, group=0, split=split)


def rows(*pictures, augment=AUGMENT, **captions):
    return build.rows_of(pictures, {one.sample_id: captions.get(one.sample_id, "a kite") for one in pictures}, augment)


@pytest.mark.parametrize(
    ("template", "parts", "said"),
    [
        ("{body}", {"body": " a red\n kite "}, "a red kite"),
        (
            "photo of {trigger} {class}, {body}",
            {"trigger": "sks", "class_": "dog", "body": "on grass"},
            "photo of sks dog, on grass",
        ),
        ("photo of {trigger} {class}, {body}", {"class_": "dog", "body": "on grass"}, "photo of dog, on grass"),
        ("{trigger} {class}, {body}", {"body": "on grass"}, "on grass"),
        ("{trigger}, {class}, {body}", {"trigger": "sks", "body": "on grass"}, "sks, on grass"),
        ("{trigger} {class}, {body}", {"trigger": "sks", "class_": "dog"}, "sks dog"),
        ("{body}, {trigger}", {"body": "a kite,", "trigger": "sks"}, "a kite, sks"),
        ("{body}", {"body": "1,000 kites,red"}, "1,000 kites,red"),
        ("{body}", {"body": "a {class} in {{braces}}"}, "a {class} in {{braces}}"),
        ("{{{class}}} {body}", {"class_": "dog"}, "{dog}"),
        ("{trigger} {class}", {}, ""),
    ],
)
def test_a_caption_is_composed_without_gaps(template, parts, said):
    assert build.compose(template, **{"body": "", "class_": None, "trigger": None, **parts}) == said


words = st.text(st.sampled_from("ab ,{}\n"), max_size=8)


@given(body=words, class_=st.none() | words, trigger=st.none() | words)
def test_no_gap_comes_from_a_part_that_is_empty(body, class_, trigger):
    said = build.compose("photo of {trigger} {class}, {body}", body=body, class_=class_, trigger=trigger)
    assert said.startswith("photo of")
    assert not re.search(r"\s\s|\n|^[\s,]|[\s,]$", said)


def test_views_are_for_training_alone_and_need_a_transform():
    made = rows(kept("a"), kept("b", split="held_out"))
    assert [(row["sample_id"], row["view"]) for row in made] == [("a", 0), ("a", 1), ("a", 2), ("b", 0)]
    assert [json.loads(row["transforms"]) for row in made] == [
        [],
        list(AUGMENT.transforms),
        list(AUGMENT.transforms),
        [],
    ]
    assert len(rows(kept("a"), augment=Augment(views=3))) == 1


def test_what_the_caption_does_not_allow_is_refused_and_told():
    made = rows(kept("a"), a="a kite on the left")
    assert json.loads(made[1]["transforms"]) == [{"RandomBrightnessContrast": None}]
    assert "left" in made[1]["refused"][0]
    only = Augment(views=3, transforms=({"HorizontalFlip": None},))
    assert len(rows(kept("a"), augment=only, a="a kite on the left")) == 1


def test_a_row_names_all_its_places_and_licences():
    one = kept("a", origin("z.png", repeats=3), origin("b.png", license="CC-BY-4.0"), origin("c.png", license=None))
    row = rows(one)[0]
    assert row["origins"] == ["b.png", "c.png", "z.png"]
    assert row["licenses"] == ["CC-BY-4.0", "CC0-1.0", "unknown"]
    assert row["repeats"] == 3


def test_the_name_knows_neither_order_nor_place():
    pictures = [kept(one) for one in "abcde"]
    named = build.name(rows(*pictures))
    assert build.name(rows(*pictures)[::-1]) == named
    moved = [replace(one, origins=(origin(f"elsewhere/{one.sample_id}.png"),), group=9) for one in reversed(pictures)]
    assert build.name(rows(*moved)) == named


@pytest.mark.parametrize("column", build.NAMED)
def test_the_name_changes_with_each_column_that_it_covers(column):
    made = rows(kept("a"), kept("b"))
    other = [dict(row) for row in made]
    changed = {"view": 7, "repeats": 7, "licenses": ["other"]}
    other[-1][column] = changed.get(column, "other")
    assert build.name(other) != build.name(made)


def test_the_name_changes_with_a_row():
    made = rows(kept("a"), kept("b"))
    assert build.name(made[:-1]) != build.name(made)


@pytest.fixture
def workspace(tmp_path):
    return Workspace.create(tmp_path / "w")


def write(workspace, *pictures, **more):
    told = {"title": "toys", "provenance": {"Recipe": "toys"}, **more}
    return build.write(workspace, rows(*pictures), pictures, **told)


def test_a_training_set_lies_under_its_name(workspace):
    pictures = [kept("a"), kept("b", split="held_out")]
    folder = write(workspace, *pictures)
    assert folder == workspace.trainsets / build.name(rows(*pictures))
    table = pq.read_table(folder / "manifest.parquet")
    assert table.schema.equals(build.MANIFEST)
    assert table.to_pylist() == rows(*pictures)
    card = (folder / "card.md").read_text()
    assert "2 pictures in 4 views:\n1 to train on, 1 held out" in card
    assert "- CC0-1.0: 2 pictures" in card
    assert folder.name in card
    assert "- Recipe: toys" in card


def test_card_and_attribution_name_the_eligible_places_with_their_rights(workspace):
    told = {"creator": "Anna", "source_url": "https://example.org/a_b", "license": "CC-BY-4.0"}
    one = kept("a", origin("a.png", **told), origin("b.png", attribution="Photo by Ben / Example"))
    text = (write(workspace, one) / "ATTRIBUTION.md").read_text()
    assert "- `a.png` (CC-BY-4.0): Anna, https://example.org/a_b\n" in text
    assert "- `b.png` (CC0-1.0): Photo by Ben / Example\n" in text
    assert len(re.findall("^- ", text, re.MULTILINE)) == 2


def test_a_new_place_of_the_same_pictures_is_thanked_too(workspace):
    first = write(workspace, kept("a", origin("a.png", creator="Anna")))
    again = write(workspace, kept("a", origin("a.png", creator="Anna"), origin("b.png", creator="Ben")))
    assert again == first
    assert "Ben" in (again / "ATTRIBUTION.md").read_text()
    assert pq.read_table(again / "manifest.parquet")["origins"].to_pylist()[0] == ["a.png", "b.png"]


HOSTILE = [
    "a`b``c.png",
    "``` \n# Heading\n<script>alert(1)</script>",
    "line\r\n- `injected.png` (CC0-1.0)",
    "[click](javascript:alert(1))",
    "![x](https://example.org/x.png)",
    "\u2028- item\u202etxt",
    "<img src=x onerror=alert(1)>",
    "\\`",
    "# heading",
    "`",
    "",
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_words_stay_words(workspace, hostile):
    one = kept("a", origin(f"x{hostile}", creator=hostile, license=f"L{hostile}"))
    folder = write(workspace, one, title=hostile, provenance={"Recipe": hostile})
    lines = (folder / "ATTRIBUTION.md").read_text().split("\n")
    items = [line for line in lines if line.startswith("- ")]
    assert len(items) == 1
    # nothing but the heading, the sentence and the one item
    assert len([line for line in lines if line.strip()]) == 3
    card = (folder / "card.md").read_text()
    assert len(re.findall("^#", card, re.MULTILINE)) == 4
    front = card.split("---\n")[1]
    assert json.loads(front.split("\n")[0].removeprefix("pretty_name: ")) == hostile
    # behind the code span, and everywhere in the card's body, what has a meaning is escaped
    fence = re.match("- (`+)", items[0])[1]
    _, rest = items[0][2 + len(fence) :].rsplit(fence, 1)
    body = card.split("---\n", 2)[2].replace(f"`{folder.name}`", "")
    for text in (rest, body):
        assert not re.search(r"(?<!\\)(\\\\)*[<>`\[\]*]", text)


@given(st.text(st.sampled_from("`a \n"), max_size=12))
def test_a_code_span_holds_its_text(text):
    """By the rule of CommonMark: a span ends at the first run of as many backticks as began it."""
    made = build._code(text)
    fence = re.match("`+", made)[0]
    runs = re.findall("`+", made)
    assert runs[0] == runs[-1] == fence
    assert fence not in runs[1:-1]
    assert made[len(fence) : -len(fence)].strip(" ") == text.replace("\n", "\\n").strip(" ")
