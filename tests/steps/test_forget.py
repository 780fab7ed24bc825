"""Nothing of a forgotten picture is left anywhere, and it does not come back."""

import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from pipeline import atomic
from pipeline.errors import InputError
from pipeline.manifest import table_of
from pipeline.review import journal
from pipeline.settings import Augment
from pipeline.stage import Tools
from pipeline.steps import forget
from pipeline.steps.export import export
from pipeline.steps.trainset import composed, standing
from pipeline.trainset import build

PREPARED = ("ingest", "measure", "select", "caption", "review")
CAPTION = {"captioner": "sidecar", "compose": "{body}"}
VICTIM = "03.png"


@pytest.fixture
def folder(pictures, tmp_path):
    """The pictures; one is by Zoltan, and has a twin of other bytes and the same pixels."""
    made = tmp_path / "pictures"
    shutil.copytree(pictures, made)
    Image.open(made / VICTIM).save(made / "resaved.png", compress_level=1)
    (made / VICTIM).with_suffix(".txt").write_text("the secret caption of Zoltan")
    (made / "metadata.jsonl").write_text(json.dumps({"file_name": VICTIM, "creator": "Zoltan", "license": "CC0-1.0"}))
    return made


@pytest.fixture
def go(begun, folder):
    """Prepares the pictures; a training set and the traces of a training are made as the later steps make them."""

    def go():
        source = {"path": str(folder), "rights": {"license": "CC0-1.0"}}
        made = begun(sources=[source], caption=CAPTION, dedup={"near": {"distance": 6}}).go(*PREPARED)
        run, kept = made.run, standing(made.run)
        rows = build.rows_of(kept, composed(run, kept), Augment())
        place = build.write(run.workspace, rows, kept, title="small", provenance={"Sources": str(folder)})
        run.save("views", table_of(rows, build.MANIFEST))
        run.save_json("trainset", {"digest": place.name})
        run.save_json("training", {"folder": "t1", "losses": []})
        (run.workspace.root / "trainings" / "t1").mkdir(parents=True, exist_ok=True)
        (run.folder / "report.html").write_text("<img src='data:...'>")
        return made

    return go


def everything(root, words):
    """Files below a folder that hold one of the words, in any form that is stored."""
    found = []
    for path in sorted(root.rglob("*")):
        if path.is_file() and path.name not in ("tombstones.jsonl", "REVOKED.json"):
            data = path.read_bytes()
            if path.suffix == ".parquet":
                import pyarrow.parquet as pq

                data = str(pq.read_table(path).to_pylist()).encode()
            found += [(str(path.relative_to(root)), word) for word in words if word.encode() in data]
    return found


@pytest.fixture
def traces(go):
    """A run with a decision about the victim, and what gives the victim away."""
    made = go()
    made.decide(VICTIM, caption="a caption that a person wrote", verdict="keep")
    made.decide("05.png", caption="another one")
    (made.run.workspace.decisions / "files").mkdir()
    (made.run.workspace.decisions / "files" / "applied.csv").write_text(f"{made.ledger[VICTIM]['origin']},x\n")
    words = [
        f"/{VICTIM}",
        "resaved.png",
        "Zoltan",
        "secret caption",
        "a caption that a person wrote",
    ]
    return made, words


@pytest.mark.parametrize("name", ["creator", "origin", "id", "path"])
def test_nothing_is_left_of_it_and_what_it_reached_is_named_and_marked(traces, folder, name, monkeypatch):
    made, words = traces
    run, sample = made.run, made.ledger[VICTIM]
    workspace = run.workspace
    monkeypatch.chdir(folder)
    named = {"creator": "Zoltan", "origin": sample["origin"], "id": sample["sample_id"][:10], "path": VICTIM}[name]
    before = everything(workspace.root, words)
    assert {word for _, word in before} == set(words)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    digest, states = run.json("trainset")["digest"], len(made.ledger)

    found = forget.find(workspace, named)
    assert everything(workspace.root, words) == before  # finding changes nothing
    told = forget.forget(workspace, found)

    assert everything(workspace.root, words) == []
    assert len(told["pictures"]) == 2  # its twin of the same pixels, too
    assert told["training_sets"] == [digest]
    assert told["trainings"] == ["t1"]
    assert told["runs"] == [run.id]
    for place in (workspace.trainsets / digest, workspace.root / "trainings" / "t1", run.folder):
        assert json.loads((place / "REVOKED.json").read_text())["samples"] == told["pictures"]
    assert not workspace.original(sample["sample_id"]).exists()
    assert not (run.folder / "report.html").exists()
    # the others are as they were, and the counts add up
    assert len(made.ledger) == states
    assert sorted(row["state"] for row in made.ledger.values()).count("forgotten") == 2
    assert [one.caption for one in journal.load(workspace.decisions).decisions if one.caption] == ["another one"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files


def test_it_does_not_come_back_in_any_form(traces, go, folder):
    made, _ = traces
    forget.forget(made.run.workspace, forget.find(made.run.workspace, "Zoltan"))
    # the same bytes, other bytes of the same pixels, and a JPEG of it
    shutil.copy(folder / VICTIM, folder / "renamed.png")
    Image.open(folder / VICTIM).save(folder / "again.png", compress_level=3)
    Image.open(folder / VICTIM).save(folder / "look.jpg", quality=95)
    again = go()
    back = ("renamed.png", VICTIM, "resaved.png", "again.png", "look.jpg")
    assert {name: again.ledger[name]["state"] for name in back} == dict.fromkeys(back, "forgotten")
    assert again.ledger["look.jpg"]["reason"] == "looks like a forgotten picture"
    stored = [path.name for path in (again.run.workspace.root / "originals").glob("*/*")]
    assert again.ledger["again.png"]["sample_id"] not in stored
    assert again.ledger["05.png"]["state"] in ("kept", "held_out")
    assert again.run.json("trainset")["digest"] != made.run.json("trainset")["digest"]


def test_killed_half_way_it_goes_on_when_asked_again(traces, monkeypatch):
    made, words = traces
    workspace, sample_id = made.run.workspace, made.ledger[VICTIM]["sample_id"]
    calls, real = [], atomic.file

    def dies(path):
        calls.append(path)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return real(path)

    monkeypatch.setattr(atomic, "file", dies)
    with pytest.raises(KeyboardInterrupt):
        forget.forget(workspace, forget.find(workspace, "Zoltan"))
    monkeypatch.undo()
    told = forget.forget(workspace, forget.find(workspace, sample_id))
    assert told["training_sets"] == [made.run.json("trainset")["digest"]]
    assert [one for one in everything(workspace.root, words) if "resaved" not in one[1]] == []


def test_a_folder_may_be_named_as_people_do(traces, folder, monkeypatch, tmp_path):
    made, _ = traces
    everyone = {row["sample_id"] for row in made.run.rows("origins") if row["sample_id"]}
    monkeypatch.chdir(tmp_path)
    for named in ("pictures", "./pictures/", "pictures/../pictures"):
        assert set(forget.find(made.run.workspace, named).samples) == everyone
    for named in ("pict", ".", "/", "pictures/03"):
        with pytest.raises(InputError, match="no run of this workspace knows"):
            forget.find(made.run.workspace, named)


def white(path):
    Image.new("L", (64, 64), 255).save(path)
    return path


def test_a_mask_that_others_have_stays_and_one_of_its_own_goes_and_stays_away(go, folder):
    for name in ("01", "05"):
        white(folder / f"{name}-masklabel.png")
    Image.linear_gradient("L").save(folder / "03-masklabel.png")
    made = go()
    workspace = made.run.workspace
    shared, own = (made.named("origins")[name]["sample_id"] for name in ("01-masklabel.png", "03-masklabel.png"))
    for name in ("01.png", VICTIM):
        forget.forget(workspace, forget.find(workspace, made.ledger[name]["origin"]))
    assert workspace.original(shared).exists()
    assert not workspace.original(own).exists()
    assert made.ledger["05-masklabel.png"]["state"] == "mask"
    gone = [f"{name}{end}" for name in ("01", "03") for end in (".png", "-masklabel.png")]
    assert not set(gone) & set(made.ledger)
    again = go()
    assert {again.ledger[name]["state"] for name in gone} == {"forgotten"}
    assert again.named("origins")["05.png"]["mask"] == shared
    assert workspace.original(shared).exists()
    assert not workspace.original(own).exists()


def test_what_looks_like_it_is_named_and_goes_where_that_is_asked(go, folder):
    Image.open(folder / VICTIM).resize((200, 200)).save(folder / "look.jpg", quality=90)
    made = go()
    workspace, look = made.run.workspace, made.ledger["look.jpg"]["sample_id"]
    found = forget.find(workspace, "Zoltan")
    assert found.alike == {look}
    assert forget.told(found)["look_alikes"] == [look]
    found = forget.find(workspace, "Zoltan", look_alikes=True)
    assert (len(found.samples), found.alike) == (3, set())
    forget.forget(workspace, found)
    assert not workspace.original(look).exists()
    assert everything(workspace.root, ["look.jpg"]) == []
    assert go().ledger["look.jpg"]["value"] == "taken out for good with `gesso forget`"


def test_a_recipe_that_keeps_look_alikes_keeps_none_of_a_forgotten_picture(traces, begun, folder):
    made, _ = traces
    forget.forget(made.run.workspace, forget.find(made.run.workspace, "Zoltan"))
    Image.open(folder / "resaved.png").save(folder / "look.jpg", quality=95)
    source = {"path": str(folder), "rights": {"license": "CC0-1.0"}}
    again = begun(sources=[source], caption=CAPTION, dedup={"near": None}).go("ingest", "measure", "select")
    assert again.ledger["look.jpg"]["reason"] == "looks like a forgotten picture"
    assert again.ledger["05.png"]["state"] in ("kept", "held_out")


def test_captions_that_a_store_had_beside_it_go_too(begun, folder):
    source = {"kind": "remote", "path": f"file://{folder}", "rights": {"license": "CC0-1.0"}}
    made = begun(sources=[source], caption=CAPTION).go("ingest", "measure", "select")
    workspace = made.run.workspace
    assert everything(workspace.root, ["secret caption"])
    forget.forget(workspace, forget.find(workspace, "Zoltan"))
    assert everything(workspace.root, ["secret caption", f"/{VICTIM}", "Zoltan"]) == []
    again = begun(sources=[source], caption=CAPTION).go("ingest", "measure", "select")
    assert again.ledger[VICTIM]["state"] == "forgotten"
    assert again.named("origins")["05.png"]["sidecar"] == made.named("origins")["05.png"]["sidecar"]


def test_a_reference_that_leads_nowhere_goes_too(begun, folder):
    source = {"path": str(folder), "rights": {"license": "CC0-1.0"}, "originals": "reference"}
    made = begun(sources=[source], caption=CAPTION).go("ingest", "measure", "select")
    place = made.run.workspace.original(made.ledger[VICTIM]["sample_id"])
    (folder / VICTIM).unlink()
    assert place.is_symlink()
    forget.forget(made.run.workspace, forget.find(made.run.workspace, "Zoltan"))
    assert not place.is_symlink()


def test_what_is_exported_afterwards_does_not_pass_for_the_revoked_set(go, tmp_path):
    made = go()
    digest = made.run.json("trainset")["digest"]
    export(made.run, Tools(made.run.workspace), format_="imagefolder", to=tmp_path / "before")
    assert digest in (tmp_path / "before" / "README.md").read_text()
    forget.forget(made.run.workspace, forget.find(made.run.workspace, "Zoltan"))
    export(made.run, Tools(made.run.workspace), format_="imagefolder", to=tmp_path / "out")
    assert digest not in (tmp_path / "out" / "README.md").read_text()
    assert everything(tmp_path / "out", ["Zoltan", "secret caption"]) == []


def test_who_is_not_known_is_told(traces):
    made, _ = traces
    for named in ("Adam", "", "zz", "/nowhere/a.png"):
        with pytest.raises(InputError, match="no run of this workspace knows"):
            forget.find(made.run.workspace, named)


def test_a_flat_picture_leaves_no_look_that_all_flat_ones_have(begun, tmp_path):
    (tmp_path / "flat").mkdir()
    for shade in (10, 200):
        data = io.BytesIO()
        Image.fromarray(np.full((64, 64, 3), shade, np.uint8)).save(data, "PNG")
        (tmp_path / "flat" / f"{shade}.png").write_bytes(data.getvalue())
    source = {"path": str(tmp_path / "flat"), "rights": {"license": "CC0-1.0"}}
    made = begun(sources=[source], caption=CAPTION).go("ingest", "measure", "select")
    forget.forget(made.run.workspace, forget.find(made.run.workspace, made.ledger["10.png"]["origin"]))
    again = begun(sources=[source], caption=CAPTION).go("ingest", "measure", "select")
    assert {name: row["state"] for name, row in again.ledger.items()} == {"10.png": "forgotten", "200.png": "kept"}
