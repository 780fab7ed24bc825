import hashlib
import json
import shutil

import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError
from pipeline.run import Run
from pipeline.settings import Augment
from pipeline.stage import Tools
from pipeline.steps.export import export
from pipeline.steps.trainset import composed, standing
from pipeline.trainset import build
from pipeline.workspace import Workspace

PREPARED = ("ingest", "measure", "select", "caption", "review")
CAPTION = {"captioner": "sidecar", "compose": "{trigger} {class}, {body}"}


@pytest.fixture
def prepared(begun, pictures, tmp_path):
    """A run up to its review, over pictures of which some have rights of their own, and one a twin with others."""
    folder = tmp_path / "pictures"
    shutil.copytree(pictures, folder)
    told = [
        {"file_name": "00.png", "license": "CC-BY-4.0", "creator": "Anna", "retrieved_at": "2026-01-31"},
        {"file_name": "twin.png", "license": "CC0-1.0", "source_url": "https://example.org/twin"},
    ]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, told)))
    source = {"path": str(folder), "rights": {"license": "CC0-1.0"}, "class": "thing", "trigger": "sks", "repeats": 2}
    return begun(sources=[source], rights={"allow": ["CC0-1.0", "CC-BY-4.0"]}, caption=CAPTION).go(*PREPARED)


def named(run):
    """What the training set of a run would be called."""
    kept = standing(run)
    return build.name(build.rows_of(kept, composed(run, kept), Augment()))


@pytest.mark.parametrize(
    ("format_", "kind"),
    [
        ("imagefolder", "folder"),
        ("imagefolder", "huggingface"),
        ("parquet", "huggingface"),
        ("webdataset", "webdataset"),
        ("kohya", "kohya"),
    ],
)
def test_exporting_and_ingesting_again_loses_nothing(prepared, begun, tmp_path, format_, kind, monkeypatch):
    told = export(prepared.run, Tools(prepared.run.workspace), format_=format_, to=tmp_path / "out")
    monkeypatch.setattr(
        Workspace, "create", classmethod(lambda cls, root, real=Workspace.create: real(tmp_path / "w2"))
    )
    again = begun(
        sources=[{"kind": kind, "path": str(tmp_path / "out")}],
        rights={"allow": ["CC0-1.0", "CC-BY-4.0"]},
        caption=CAPTION,
        split={"held_out": 0.0},
    ).go(*PREPARED)
    assert {row["state"] for row in again.run.rows("ledger")} == {"kept", "held_out", "duplicate"}
    assert named(again.run) == named(prepared.run)
    once_more = export(again.run, Tools(again.run.workspace), format_=format_, to=tmp_path / "again")
    assert once_more["digest"] == told["digest"]
    first, second = (
        [path for path in sorted((tmp_path / name).rglob("*.*")) if path.is_file()] for name in ("out", "again")
    )
    assert [path.name for path in first] == [path.name for path in second]
    data = [path.read_bytes() for path in first if path.name != "README.md"]
    assert data == [path.read_bytes() for path in second if path.name != "README.md"]
    thanks = [(tmp_path / name / "ATTRIBUTION.md").read_text() for name in ("out", "again")]
    assert thanks[0] == thanks[1]
    assert "Anna" in thanks[0]
    assert "https://example.org/twin" in thanks[0]


def test_the_exported_files_are_the_originals_with_card_and_thanks(prepared, tmp_path):
    told = export(prepared.run, Tools(prepared.run.workspace), format_="imagefolder", to=tmp_path / "out")
    found = [(path.parent, pq.read_table(path).to_pylist()) for path in (tmp_path / "out").rglob("metadata.parquet")]
    rows = [(folder, row) for folder, some in found for row in some]
    kept = [row for row in prepared.run.rows("ledger") if row["state"] in ("kept", "held_out")]
    assert told["pictures"] == len(rows) == len(kept)
    for folder, row in rows:
        data = (folder / row["file_name"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["gesso_sample_id"]
    card = (tmp_path / "out" / "README.md").read_text()
    assert told["digest"] in card
    assert str(tmp_path) not in card + (tmp_path / "out" / "ATTRIBUTION.md").read_text()


def test_nothing_is_overwritten_and_nothing_is_left_of_what_failed(prepared, tmp_path, monkeypatch):
    tools = Tools(prepared.run.workspace)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    for place in ("mine", "mine/letter.txt"):
        with pytest.raises(InputError, match="nothing is overwritten"):
            export(prepared.run, tools, format_="imagefolder", to=tmp_path / place)
    assert (tmp_path / "mine" / "letter.txt").read_text() == "dear"
    monkeypatch.setattr(Tools, "read", lambda self, sample_id: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(prepared.run, tools, format_="imagefolder", to=tmp_path / "out")
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


def test_captions_are_composed_also_where_no_review_was_reached(prepared, begun, tmp_path):
    source = prepared.run.recipe.sources[0].model_dump(mode="json", by_alias=True)
    made = begun(sources=[source], rights={"allow": ["CC0-1.0"]}, caption=CAPTION).go(*PREPARED[:-1])
    export(made.run, Tools(made.run.workspace), format_="kohya", to=tmp_path / "out")
    texts = [path.read_text() for path in (tmp_path / "out" / "train" / "2_sks thing").glob("*.txt")]
    assert len(texts) > 3
    assert all(text.startswith("sks thing") for text in texts)
    assert any(", " in text for text in texts)


@pytest.mark.parametrize("steps", [PREPARED, PREPARED[:-1]], ids=["reviewed", "before the review"])
def test_what_people_decided_after_the_run_is_exported(prepared, begun, tmp_path, steps):
    source = prepared.run.recipe.sources[0].model_dump(mode="json", by_alias=True)
    made = begun(sources=[source], rights={"allow": ["CC0-1.0"]}, caption=CAPTION).go(*steps)
    before = export(made.run, Tools(made.run.workspace), format_="kohya", to=tmp_path / "before")
    made.decide("01.png", verdict="keep", caption="what a person wrote")
    made.decide("02.png", verdict="drop")
    told = export(made.run, Tools(made.run.workspace), format_="kohya", to=tmp_path / "out")
    assert told["pictures"] == before["pictures"] - 1
    assert told["digest"] != before["digest"]
    texts = [path.read_text().strip() for path in (tmp_path / "out").rglob("*.txt")]
    assert texts.count("sks thing, what a person wrote") == 1
    samples = made.named("samples")
    data = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (tmp_path / "out").rglob("*.png")}
    assert samples["01.png"]["sample_id"] in data
    assert samples["02.png"]["sample_id"] not in data


def test_a_run_that_keeps_nothing_has_nothing_to_export(begun, tmp_path):
    made = begun(rights={"allow": ["MIT"]}, caption=CAPTION).go(*PREPARED)
    with pytest.raises(InputError, match="keeps no picture"):
        export(Run.open(made.run.workspace, made.run.id), Tools(made.run.workspace), format_="kohya", to=tmp_path / "o")
