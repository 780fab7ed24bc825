import shutil

import pytest

from flows.life import life, life_text
from pipeline.errors import InputError


def of(run, name):
    return next(row for row in run.rows("origins") if row["origin"].endswith(name))


def test_a_picture_is_found_by_path_name_and_id(done_run):
    row = of(done_run, "00000.png")
    whole = life(done_run, row["origin"])
    for word in ("00000.png", row["sample_id"], row["sample_id"][:8], row["sample_id"][:8].upper()):
        assert life(done_run, word) == whole


def test_a_path_may_be_relative(done_run, finished, monkeypatch):
    monkeypatch.chdir(finished / "pictures")
    assert life(done_run, "./00000.png")["sample_id"] == of(done_run, "00000.png")["sample_id"]


def test_a_life_goes_from_the_file_to_the_weights(done_run):
    told = life_text(life(done_run, "00000.png"))
    for part in (
        f"sample {of(done_run, '00000.png')['sample_id']}",
        "pictures/00000.png (CC0-1.0)",
        "state       kept",
        "measured    sharpness__score = ",
        "caption     ",
        "(from sidecar)",
        "view 0      ",
        f"in training set {done_run.json('trainset')['digest']}",
        f"used by     run {done_run.id}, training {done_run.json('training')['folder']}",
    ):
        assert part in told


def test_a_file_that_was_no_picture_has_a_short_life(done_run):
    told = life_text(life(done_run, "broken.png"))
    assert "state       quarantined at ingest: " in told
    assert "in training set" not in told


@pytest.mark.parametrize("word", ["nonsense", "", "0", "0123456789abcdef"])
def test_what_nobody_knows_is_told(done_run, word):
    with pytest.raises(InputError, match="knows no such picture"):
        life(done_run, word)


def test_what_fits_several_is_told(begun, pictures):
    from pipeline import plan
    from pipeline.stage import Tools

    (pictures / "below").mkdir()
    shutil.copy(pictures / "00001.png", pictures / "below" / "00000.png")
    run = begun()
    plan.do(run, "ingest", Tools(run.workspace))
    with pytest.raises(InputError, match="fits 2 pictures"):
        life(run, "00000.png")
