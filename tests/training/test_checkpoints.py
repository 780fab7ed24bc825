import pickle
from pathlib import Path

import pytest
import torch

from pipeline.errors import InputError
from pipeline.training import checkpoints
from pipeline.training.settings import TrainSettings

IDENTITY = {"train.steps": "5"}


def write(folder, step, *, weights=None, keep=2, state=None, identity=IDENTITY):
    def fill(target):
        (target / "weights.txt").write_text(f"of step {step}")

    checkpoints.write(folder, step, weights=weights or fill, state=state or {}, identity=identity, keep=keep)


def test_the_newest_by_number_is_found_with_its_state(tmp_path):
    assert checkpoints.latest(tmp_path) is None
    for step in (9, 10, 100):
        write(tmp_path, step, keep=9, state={"moments": torch.arange(3), "scale": 2.0, "groups": [{"lr": 1}]})
    found = checkpoints.latest(tmp_path)
    assert found.step == 100
    assert (found.folder / "weights.txt").read_text() == "of step 100"
    state = found.state()
    assert torch.equal(state["moments"], torch.arange(3))
    assert (state["scale"], state["groups"]) == (2.0, [{"lr": 1}])


def test_one_that_was_cut_off_is_not_there_and_the_next_try_replaces_it(tmp_path):
    write(tmp_path, 1)

    def fail(target):
        (target / "half.txt").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, 2, weights=fail)
    assert checkpoints.latest(tmp_path).step == 1
    write(tmp_path, 2)
    assert sorted(one.name for one in checkpoints.latest(tmp_path).folder.iterdir()) == [
        "identity.json",
        "sha256.json",
        "state.pt",
        "weights.txt",
    ]


def test_a_failed_commit_leaves_the_old_folder_whole(tmp_path):
    target = tmp_path / "weights"
    checkpoints.commit(target, lambda folder: (folder / "a").write_text("old"))

    def fail(folder):
        (folder / "a").write_text("new")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        checkpoints.commit(target, fail)
    assert (target / "a").read_text() == "old"
    checkpoints.commit(target, lambda folder: (folder / "b").write_text("new"))
    assert [one.name for one in target.iterdir()] == ["b"]


def test_the_oldest_go(tmp_path):
    for step in range(1, 6):
        write(tmp_path, step, keep=3)
    assert [one.name for one in sorted((tmp_path / "checkpoints").iterdir())] == [
        f"step-{step:07d}" for step in (3, 4, 5)
    ]


def test_code_in_a_state_is_not_run(tmp_path):
    write(tmp_path, 1)
    torch.save({"bad": InputError}, checkpoints.latest(tmp_path).folder / "state.pt")
    with pytest.raises(pickle.UnpicklingError):
        checkpoints.latest(tmp_path).state()


def test_only_the_same_training_goes_on(tmp_path):
    said = []
    assert checkpoints.resume(tmp_path, identity=IDENTITY, say=said.append) is None
    write(tmp_path, 3)
    assert checkpoints.resume(tmp_path, identity=IDENTITY, say=said.append).step == 3
    assert said == ["going on after step 3"]
    for other in ({"train.steps": "6"}, {}, {**IDENTITY, "header.base": "x"}):
        with pytest.raises(InputError, match=r"(train\.steps|header\.base).*another folder"):
            checkpoints.resume(tmp_path, identity=other, say=said.append)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [cut, flip, Path.unlink])
@pytest.mark.parametrize("name", ["state.pt", "raw/weights.txt", "identity.json", "sha256.json"])
def test_a_damaged_one_is_set_aside_for_the_one_before(tmp_path, name, damage):
    def weights(target):
        (target / "raw").mkdir()
        (target / "raw" / "weights.txt").write_text("of some step")

    said = []
    for step in (2, 4):
        write(tmp_path, step, weights=weights)
    damage(tmp_path / "checkpoints" / "step-0000004" / name)
    assert checkpoints.resume(tmp_path, identity=IDENTITY, say=said.append).step == 2
    assert len(said) == 1
    assert said[0].startswith("going on after step 2; damaged and set aside: step-0000004.damaged (")
    assert (tmp_path / "checkpoints" / "step-0000004.damaged").is_dir()
    write(tmp_path, 4, weights=weights)
    assert checkpoints.resume(tmp_path, identity=IDENTITY, say=said.append).step == 4
    assert said[1:] == ["going on after step 4"]


def test_where_all_are_damaged_it_begins_anew(tmp_path):
    said = []
    for _ in range(2):
        write(tmp_path, 2)
        cut(tmp_path / "checkpoints" / "step-0000002" / "state.pt")
        assert checkpoints.resume(tmp_path, identity=IDENTITY, say=said.append) is None
    assert said == [
        "beginning anew; damaged and set aside: step-0000002.damaged (state.pt)",
        "beginning anew; damaged and set aside: step-0000002.damaged1 (state.pt)",
    ]


def test_what_decides_the_outcome_is_in_the_identity_and_nothing_else():
    def identity(digest="d", header=None, **changes):
        return checkpoints.identity(TrainSettings(**changes), digest=digest, header=header or {})

    assert identity(checkpoint_every=7, keep_checkpoints=9) == identity()
    different = [identity(seed=1), identity(steps=3), identity(digest="e"), identity(header={"base": "x"})]
    assert all(one != identity() for one in different)


def test_checkpoints_are_due_at_every_nth_step_and_the_last():
    settings = TrainSettings(steps=7, checkpoint_every=3)
    assert [step for step in range(1, 8) if checkpoints.due(step, settings)] == [3, 6, 7]
