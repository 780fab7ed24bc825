import json

import pytest

from pipeline.errors import InputError
from pipeline.sources import _metadata


@pytest.fixture
def read(tmp_path):
    def read(text, name="metadata.csv", encoding="utf-8"):
        (tmp_path / name).write_bytes(text.encode(encoding))
        found = _metadata.read([tmp_path / name])
        return {str(path.relative_to(tmp_path)): told for path, told in found.items()}

    return read


def test_captions_and_rights_of_a_csv(read):
    found = read(
        "file_name,text,license,creator,stars\r\n"
        'a.png,"a dog, sitting",CC0-1.0,Anna,5\r\n'
        "sub/b.png,,, ,\r\n"
        "./c.png, a cat \r\n"
    )
    assert found["a.png"].caption == "a dog, sitting"
    assert found["a.png"].rights == {"license": "CC0-1.0", "creator": "Anna"}
    assert (found["sub/b.png"].caption, found["sub/b.png"].rights) == (None, {})
    assert found["c.png"].caption == "a cat"
    assert [told.where[-6:] for told in found.values()] == ["line 2", "line 3", "line 4"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_a_byte_order_mark_is_no_part_of_the_first_column(read, encoding, name):
    text = "file_name,text\na.png,ein Bär\n" if name.endswith("csv") else '{"file_name": "a.png", "text": "ein Bär"}'
    assert read(text, name, encoding)["a.png"].caption == "ein Bär"


@pytest.mark.parametrize(
    "hard", ["two\nlines", "a \u2028 separator", "a \x85 and \x0b and \x1c end", 'a "quote"', "x" * 99999]
)
def test_hard_texts_come_back_whole(read, hard):
    quoted = '"' + hard.replace('"', '""') + '"'
    assert read(f"file_name,text\na.png,{quoted}\nb.png,b\n")["a.png"].caption == hard
    line = json.dumps({"file_name": "a.png", "text": hard}, ensure_ascii=False)
    assert read(f'{line}\n\n{{"file_name": "b.png"}}\n', "metadata.jsonl")["a.png"].caption == hard


def test_caption_stands_for_text(read):
    assert read('{"file_name": "a.png", "text": "", "caption": "a cat"}', "metadata.jsonl")["a.png"].caption == "a cat"


def test_the_same_told_twice_is_told_once(read):
    assert len(read("file_name,text\na.png,a cat\n./a.png,a cat\n")) == 1


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("metadata.csv", "file_name,text\na.png,a dog, sitting\n", r"line 2: .*more cells.*' sitting'.*quotes"),
        ("metadata.csv", "file_name;text\na.png;a dog\n", r"no column file_name.*commas"),
        ("metadata.csv", 'file_name,text\na.png,"a dog\nb.png,b\n', r"cannot be read .*end of data"),
        ("metadata.csv", "file_name,text\n,a dog\n", r"line 2: every row needs a file_name"),
        (
            "metadata.csv",
            "file_name,text\na.png,a cat\na.png,a dog\n",
            r"line 3: two rows.*different.*line 2.*'a.png'",
        ),
        ("metadata.csv", "file_name,license\na.png,CC0-1.0\na.png,\n", r"two rows"),
        ("metadata.jsonl", '{"file_name": "a.png"}\n{"file_name"\n', r"cannot be read \(line 2: "),
        ("metadata.jsonl", '["a.png"]\n', r"line 1: every line must be an object"),
        ("metadata.jsonl", '{"text": "a dog"}\n', r"every row needs a file_name"),
        ("metadata.jsonl", '{"file_name": 7}\n', r"line 1, file_name: this must be text \(got 7\)"),
        ("metadata.jsonl", '{"file_name": "a", "text": ["a", "b"]}\n', r"line 1, text: this must be text"),
        ("metadata.jsonl", '{"file_name": "a", "license": {"id": 1}}\n', r"line 1, license: this must be text"),
    ],
)
def test_what_cannot_be_understood_names_its_place(read, name, text, problem):
    with pytest.raises(InputError, match=f"(?s){name}.*{problem}"):
        read(text, name)


def test_a_file_that_is_no_utf_8(read):
    with pytest.raises(InputError, match="cannot be read"):
        read("file_name,text\na.png,a cat\n", encoding="utf-16")


def test_an_empty_file_says_nothing(read):
    assert read("") == read("file_name,text\n") == read("\n", "metadata.jsonl") == {}


def test_rights_and_what_an_export_tells(read):
    line = {
        "file_name": "a.png",
        "text": "sks dog, a dog",
        "license_spdx": "MIT",
        "ai_optout": "false",
        "gesso_body": "",
        "gesso_repeats": 3,
        "gesso_split": "held_out",
        "gesso_also": '[{"license": "CC0-1.0", "creator": null, "stars": 5}]',
    }
    told = read(json.dumps(line), "metadata.jsonl")["a.png"]
    assert told.caption == ""
    assert told.rights == {"license": "MIT", "ai_optout": False}
    assert told.subject == {"repeats": 3, "split": "held_out", "class": None, "trigger": None}
    assert told.also == ({"license": "CC0-1.0"},)


@pytest.mark.parametrize(("word", "objects"), [("no", False), ("0", False), ("True", True), ("yes", True), ("?", True)])
def test_an_objection_counts_unless_it_is_denied(read, word, objects):
    assert read(f"file_name,ai_optout\na.png,{word}\n")["a.png"].rights == {"ai_optout": objects}


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ({"gesso_repeats": "many"}, "whole number"),
        ({"gesso_repeats": 0}, "whole number"),
        ({"gesso_split": "test"}, "no such split"),
        ({"gesso_also": "[1]"}, "JSON list of rights"),
        ({"gesso_also": "{"}, "JSON list of rights"),
    ],
)
def test_cells_of_an_export_that_cannot_be_understood(read, cells, problem):
    with pytest.raises(InputError, match=problem):
        read(json.dumps({"file_name": "a.png", **cells}), "metadata.jsonl")
