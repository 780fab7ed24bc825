import hashlib
import os
import shutil
from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.manifest import ORIGINS, table_of
from pipeline.settings import Rights, Source
from pipeline.sources import _captions, _memory, folder
from pipeline.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace.create(tmp_path / "workspace")


@pytest.fixture
def root(tmp_path):
    made = tmp_path / "photos"
    made.mkdir()
    return made


def put(path, text="bytes"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def scan(root, workspace, **settings):
    """The rows by path below the root; they fit the schema."""
    rows = folder.scan(Source(path=root, **settings), 0, workspace)
    table_of(rows, ORIGINS)
    assert [row["origin"] for row in rows] == sorted(row["origin"] for row in rows)
    return {str(Path(row["origin"]).relative_to(root)): row for row in rows}


def errors(rows):
    return {name: row["error"] for name, row in rows.items() if row["error"]}


@pytest.fixture
def reads(monkeypatch):
    """Names of the pictures whose bytes were read."""
    names, real = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: names.append(path.name) or real(path))
    return names


def test_every_file_below_is_a_row_with_its_bytes_kept(root, workspace):
    for name in ("a.png", "deep/down/b.JPG", "notes.md", "lonely.txt", "empty.png"):
        put(root / name, "" if name == "empty.png" else name)
    rows = scan(root, workspace)
    assert list(rows) == ["a.png", "deep/down/b.JPG", "empty.png", "lonely.txt", "notes.md"]
    assert errors(rows) == {}
    for name, row in rows.items():
        data = (root / name).read_bytes()
        assert row["sample_id"] == hashlib.sha256(data).hexdigest()
        assert row["bytes"] == len(data)
        assert workspace.original(row["sample_id"]).read_bytes() == data


def test_hidden_files_and_folders_and_workspaces_are_left_alone(root):
    for name in ("a.png", ".DS_Store", "._a.png", ".git/b.png", ".git/metadata.csv", "sub/.thumbs/c.png"):
        put(root / name)
    workspace = Workspace.create(root / "work")
    for _ in range(2):
        assert list(scan(root, workspace)) == ["a.png"]


def test_captions_stand_beside_their_pictures(root, workspace):
    for name in ("a.png", "b.png", "c.png", "d.png", "sub/a.png"):
        put(root / name, name)
    put(root / "a.txt", "\ufeff a red kite \n")
    put(root / "b.TXT", "a blue boat")
    put(root / "c.txt", " \n")
    (root / "sub" / "a.txt").write_bytes(b"caf\xe9")
    rows = scan(root, workspace)
    assert {name: row["sidecar"] for name, row in rows.items()} == {
        "a.png": "a red kite",
        "b.png": "a blue boat",
        "c.png": None,
        "d.png": None,
        "sub/a.png": "caf\ufffd",
    }


def test_metadata_goes_before_sidecars_and_the_recipes_rights(root, workspace):
    for name in ("a.png", "b.png", "sub/c.png"):
        put(root / name, name)
    put(root / "a.txt", "from the sidecar")
    put(root / "b.txt", "from the sidecar")
    put(root / "metadata.csv", "file_name,text,license,mood\na.png,from the table,CC-BY-4.0,5\nb.png,,,\n")
    put(root / "sub" / "metadata.jsonl", '{"file_name": "c.png", "caption": "a cat", "creator": "Anna"}')
    rows = scan(root, workspace, rights=Rights(license="CC0-1.0", creator="Ben"))
    assert list(rows) == ["a.png", "b.png", "sub/c.png"]
    assert [row["sidecar"] for row in rows.values()] == ["from the table", "from the sidecar", "a cat"]
    assert [row["license"] for row in rows.values()] == ["CC-BY-4.0", "CC0-1.0", "CC0-1.0"]
    assert [row["creator"] for row in rows.values()] == ["Ben", "Ben", "Anna"]


def test_a_picture_that_metadata_names_and_is_not_there_is_a_row(root, workspace):
    put(root / "a.png")
    put(root / "metadata.csv", "file_name,text\na.png,a\ngone.png,b\n../other/c.png,c\nsub/../a.PNG,d\n")
    rows = folder.scan(Source(path=root), 0, workspace)
    told = {row["origin"]: row["error"] for row in rows}
    where = f"missing: named in {root}/metadata.csv, line "
    assert told == {
        f"{root}/a.png": None,
        f"{root}/gone.png": f"{where}3",
        f"{root.parent}/other/c.png": f"{where}4",
        f"{root}/a.PNG": f"{where}5",
    }


def test_class_trigger_and_repeats_come_from_the_source(root, workspace):
    put(root / "shiba" / "a.png")
    put(root / "b.png", "b")
    settings = {"class": "{folder} dog", "trigger": "sks", "repeats": 3}
    rows = scan(root, workspace, **settings)
    assert {(row["class"], row["trigger"], row["repeats"]) for row in rows.values()} == {
        ("shiba dog", "sks", 3),
        ("photos dog", "sks", 3),
    }
    assert {row["class"] for row in scan(root, workspace).values()} == {None}


def test_the_folder_of_a_picture_is_known_also_where_the_source_is_here(root, workspace, monkeypatch):
    put(root / "a.png")
    monkeypatch.chdir(root)
    (row,) = folder.scan(Source(path=Path(), **{"class": "{folder}"}), 0, workspace)
    assert row["class"] == "photos"


def test_what_cannot_be_read_is_a_row_with_a_reason(root, workspace):
    put(root / "good.png")
    (root / "broken.png").symlink_to(root / "nowhere")
    (root / "loop.png").symlink_to(root / "loop.png")
    os.mkfifo(root / "pipe.png")
    (root / "folder.png").mkdir()
    put(root / "folder.png" / "inside.png", "inside")
    rows = scan(root, workspace)
    assert errors(rows) == {
        "broken.png": "unreadable: No such file or directory",
        "loop.png": "unreadable: Too many levels of symbolic links",
        "pipe.png": "unreadable: a pipe, socket or device",
    }
    assert set(rows) - set(errors(rows)) == {"good.png", "folder.png/inside.png"}
    assert all(rows[name]["sample_id"] is None for name in errors(rows))


@pytest.mark.parametrize("victim", ["a.png", "a.txt"])
def test_a_picture_or_caption_without_permission_is_a_row(root, workspace, monkeypatch, victim):
    put(root / "a.png")
    put(root / "a.txt", "a cat")
    put(root / "b.png", "b")
    real = Path.open

    def refuse(path, *args, **kwargs):
        if path.name == victim:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", refuse)
    assert errors(scan(root, workspace)) == {"a.png": "unreadable: Permission denied"}


def test_a_folder_without_permission_is_a_row(root, workspace, monkeypatch):
    put(root / "a.png")
    put(root / "locked" / "b.png")
    real = os.scandir

    def refuse(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert errors(scan(root, workspace)) == {"locked": "unreadable: a folder (Permission denied)"}


def test_links_to_files_are_read_and_links_to_folders_are_told(root, workspace, tmp_path):
    put(tmp_path / "elsewhere" / "a.png", "elsewhere")
    put(root / "sub" / "b.png", "b")
    (root / "link.png").symlink_to(tmp_path / "elsewhere" / "a.png")
    (root / "outside").symlink_to(tmp_path / "elsewhere")
    (root / "sub" / "up").symlink_to(root)
    rows = scan(root, workspace)
    told = "not_followed: a link to a folder; name that as a source of its own"
    assert errors(rows) == {"outside": told, "sub/up": told}
    assert set(rows) - set(errors(rows)) == {"link.png", "sub/b.png"}


def test_a_source_may_itself_be_a_link(root, workspace, tmp_path):
    put(root / "a.png")
    (tmp_path / "link").symlink_to(root)
    assert list(scan(tmp_path / "link", workspace)) == ["a.png"]


def test_names_that_are_no_utf_8(root, workspace):
    put(root / os.fsdecode(b"caf\xe9/\xff.png"))
    put(root / "new\nline.png", "other")
    for _ in range(2):
        rows = folder.scan(Source(path=root, **{"class": "{folder}"}), 0, workspace)
        assert [row["origin"].removeprefix(str(root)) for row in rows] == ["/caf\\xe9/\\xff.png", "/new\nline.png"]
        assert rows[0]["class"] == "caf\\xe9"
        assert table_of(rows, ORIGINS)["error"].null_count == 2


def test_a_file_too_large_is_not_read(root, workspace, reads):
    with (root / "large.png").open("wb") as file:
        file.truncate(300 * 2**20)
    assert errors(scan(root, workspace))["large.png"].startswith("too_many_bytes: 314572800 bytes, at most ")
    assert reads == []


def test_unchanged_files_are_trusted_and_changed_ones_read_again(root, workspace, reads):
    for name in ("a.png", "b.png", "c.png"):
        put(root / name, name)
    first = scan(root, workspace)
    assert sorted(reads) == ["a.png", "b.png", "c.png"]  # several at a time
    reads.clear()
    assert scan(root, workspace) == first
    assert reads == []
    put(root / "b.png", "longer than before")
    os.utime(root / "c.png", ns=(1, 1))
    put(root / "d.png", "new")
    again = scan(root, workspace)
    assert sorted(reads) == ["b.png", "c.png", "d.png"]
    assert again["b.png"]["sample_id"] != first["b.png"]["sample_id"]
    assert again["a.png"] == first["a.png"]
    assert again["c.png"] == first["c.png"]


def test_a_lost_original_is_read_again(root, workspace, reads):
    put(root / "a.png")
    scan(root, workspace)
    shutil.rmtree(workspace.root / "originals")
    row = scan(root, workspace)["a.png"]
    assert workspace.original(row["sample_id"]).read_bytes() == b"bytes"
    assert reads.count("a.png") == 2


def test_what_the_workspace_remembers_is_the_folders_own(root, workspace, tmp_path, reads):
    put(root / "a.png")
    put(tmp_path / "other" / "a.png", "other bytes")
    scan(root, workspace)
    scan(tmp_path / "other", workspace)
    reads.clear()
    assert len(_memory.seen(root, workspace)) == 1
    scan(root, workspace)
    assert reads == []


def test_the_source_is_never_changed(root, workspace):
    put(root / "a.png")
    put(root / "a.txt", "a cat")
    put(root / "metadata.csv", "file_name\ngone.png\n")

    def state():
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in [root, *root.rglob("*")]}

    before = state()
    scan(root, workspace)
    assert state() == before


def test_files_are_those_that_a_scan_reads(root, workspace):
    put(root / "a.png")
    put(root / "a.txt")
    (root / "broken.png").symlink_to(root / "nowhere")
    assert list(folder.files(root)) == [root / "a.png"]
    assert _memory.seen(root, workspace) == {}
    sample_id = scan(root, workspace)["a.png"]["sample_id"]
    assert _memory.seen(root, workspace) == {_memory.identity(str(root / "a.png"), root): sample_id}


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_a_folder_that_is_not_there_names_the_setting(tmp_path, workspace, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"sources\.2\.path.*--set sources\.2\.path=FOLDER"):
        folder.scan(Source(path=tmp_path / name), 2, workspace)


def test_only_new_and_changed_files_are_read(root, workspace):
    for number in range(20):
        (root / f"{number}.png").write_bytes(bytes([number]))
    first, second = [], []
    folder.scan(Source(path=root), 0, workspace, on_read=first.append)
    assert sorted(first) == sorted(folder.files(root))
    assert len(first) == 20
    changed = root / "7.png"
    changed.write_bytes(b"another content")
    folder.scan(Source(path=root), 0, workspace, on_read=second.append)
    assert second == [changed]


def test_pictures_may_be_referred_to_and_a_change_is_noticed(root, workspace):
    path = put(root / "a.png")
    row = scan(root, workspace, originals="reference")["a.png"]
    place = workspace.original(row["sample_id"])
    assert place.is_symlink()
    assert workspace.read_original(row["sample_id"]) == b"bytes"
    put(path, "other")
    with pytest.raises(InputError, match="is gone or has changed"):
        workspace.read_original(row["sample_id"])
    again = scan(root, workspace, originals="reference")["a.png"]
    assert workspace.read_original(again["sample_id"]) == b"other"
    path.unlink()
    with pytest.raises(InputError, match="is gone or has changed"):
        workspace.read_original(again["sample_id"])
    put(root / "b.png", "other")  # the same bytes elsewhere
    scan(root, workspace, originals="reference")
    assert workspace.read_original(again["sample_id"]) == b"other"


def test_a_twin_stands_in_where_the_file_that_was_referred_to_changes(root, workspace):
    for name in ("a.png", "b.png"):
        put(root / name)
    first = scan(root, workspace, originals="reference")["a.png"]["sample_id"]
    linked = workspace.original(first).readlink()
    (other,) = {"a.png", "b.png"} - {linked.name}
    put(linked, "changed")
    rows = scan(root, workspace, originals="reference")
    assert rows[other]["sample_id"] == first
    assert workspace.read_original(first) == b"bytes"
    assert workspace.read_original(rows[linked.name]["sample_id"]) == b"changed"


def test_what_was_referred_to_is_copied_when_that_is_asked(root, workspace):
    path = put(root / "a.png")
    sample_id = scan(root, workspace, originals="reference")["a.png"]["sample_id"]
    assert scan(root, workspace)["a.png"]["sample_id"] == sample_id
    path.unlink()
    assert workspace.read_original(sample_id) == b"bytes"
    assert not workspace.original(sample_id).is_symlink()


def test_metadata_is_found_however_the_folder_is_named(root, workspace):
    put(root / "deep" / "a.png")
    put(root / "deep" / "metadata.csv", "file_name,ai_optout\na.png,true\n")
    (row,) = folder.scan(Source(path=root / "deep" / ".." / "deep"), 0, workspace)
    assert (row["ai_optout"], row["error"]) == (True, None)


@pytest.mark.parametrize("written", ["s\\\\\u00e9.png", "s/\u00e9.png", "{root}/s/\u00e9.png", "./s//e\u0301.png"])
@pytest.mark.parametrize("named", ["\u00e9.png", "e\u0301.png"])
def test_an_objection_is_heard_however_the_name_is_written(root, workspace, monkeypatch, named, written):
    """macOS parts letters from their accents, Windows has backslashes."""
    put(root / "s" / named)
    put(root / "metadata.jsonl", f'{{"file_name": "{written.format(root=root)}", "ai_optout": true}}')
    monkeypatch.chdir(root.parent)
    for place in (root, Path(root.name)):
        (row,) = folder.scan(Source(path=place), 0, workspace)
        assert (row["ai_optout"], row["error"]) == (True, None)


def test_a_name_is_taken_as_it_stands_where_there_is_such_a_file(root, workspace):
    for name in ("\u00e9.png", "e\u0301.png"):
        put(root / name, name)
    put(root / "metadata.csv", "file_name,license\ne\u0301.png,MIT\n")
    assert {name: row["license"] for name, row in scan(root, workspace).items()} == {
        "\u00e9.png": None,
        "e\u0301.png": "MIT",
    }


def test_what_is_about_pictures_is_none(root, workspace):
    for name in ("a.png", "README.md", "ATTRIBUTION.md"):
        put(root / name, name)
    assert list(scan(root, workspace)) == ["a.png"]


def test_an_unchanged_caption_is_not_opened_and_a_changed_one_is(root, workspace, monkeypatch):
    monkeypatch.setattr(_captions, "SETTLED_NS", -(10**12))
    put(root / "a.png")
    put(root / "a.txt", "a cat")
    assert scan(root, workspace)["a.png"]["sidecar"] == "a cat"
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.read_text", lambda *_, **__: pytest.fail("it was opened"))
        assert scan(root, workspace)["a.png"]["sidecar"] == "a cat"
    put(root / "a.txt", "two dogs")
    assert scan(root, workspace)["a.png"]["sidecar"] == "two dogs"
    (root / "a.txt").unlink()
    assert scan(root, workspace)["a.png"]["sidecar"] is None
