"""A small chain, run once for all tests of steps, and the means to run further ones."""

import hashlib
import shutil

import pytest
from PIL import Image

from pipeline import plan
from pipeline.recipe import parse
from pipeline.review import journal
from pipeline.run import Run
from pipeline.stage import Tools
from pipeline.starter import pictures as drawing
from pipeline.workspace import Workspace

PICTURES = 12
CAPTIONED = 8
PROMPT = "a small red circle on a blue background"


class Made:
    """A run and what its steps told: `said` by step, `stats` by stage of those done last, `told` of progress."""

    def __init__(self, run):
        self.run, self.said, self.stats, self.heard, self.told = run, {}, {}, [], []

    def go(self, *steps):
        """Do steps (all, if none are named) with fresh tools, as a new process would."""
        for step in steps or plan.ALL_STEPS:
            tools = Tools(self.run.workspace, workers=1, say=self.heard.append, progress=self._tell)
            before = len(self.run.stats())
            self.said[step] = plan.do(self.run, step, tools)
            self.stats |= {one.name: one for one in self.run.stats()[before:]}
        return self

    def _tell(self, *progress):
        self.told.append(progress)

    @property
    def training(self):
        """Folder of the run's training."""
        return self.run.workspace.root / "trainings" / self.run.json("training")["folder"]

    @property
    def ledger(self):
        """The ledger's rows by file name."""
        return {row["origin"].rpartition("/")[2]: row for row in self.run.rows("ledger")}

    def named(self, table):
        """A table's rows by the name of the file that they come from."""
        names = {row["sample_id"]: row["origin"].rpartition("/")[2] for row in reversed(self.run.rows("origins"))}
        return {names[row["sample_id"]]: row for row in self.run.rows(table)}

    def decide(self, name, **words):
        """Let a person decide about the picture of a file."""
        pixel_id = self.named("samples")[name]["pixel_id"]
        one = journal.Decision(pixel_id=pixel_id, reviewer="ann", at=journal.now(), **words)
        journal.append(self.run.workspace.decisions, [one])


def recipe_of(folder, changes):
    return parse(
        {
            "name": "small",
            "sources": [
                {
                    "path": str(folder),
                    "rights": {"license": "CC0-1.0"},
                    "class": "thing",
                    "trigger": "sks",
                    "repeats": 2,
                }
            ],
            "rights": {"allow": ["CC0-1.0"]},
            "dedup": {"near": None},
            "split": {"held_out": 0.3, "min_groups": 2},
            "caption": {"captioner": "blip", "model": "starter", "compose": "{trigger} {class}, {body}"},
            "augment": {"views": 2, "transforms": [{"RandomBrightnessContrast": {"p": 1.0}}]},
            "buckets": {"resolution": 64, "step": 8},
            "train": {"steps": 4, "batch_size": 2, "checkpoint_every": 2, "learning_rate": 1e-3, "rank": 4},
            "evaluate": {"every": 2, "prompts": [PROMPT], "seeds": [1, 2], "steps": 2, "guidance": 2.0},
            **changes,
        }
    )


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Twelve drawn pictures, eight of them captioned; a twin of the first, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("steps") / "pictures"
    folder.mkdir()
    for number in range(PICTURES):
        drawn = drawing.picture(number)
        Image.fromarray(drawn.pixels).save(folder / f"{number:02d}.png")
        if number < CAPTIONED:
            (folder / f"{number:02d}.txt").write_text(drawn.caption, encoding="utf-8")
    shutil.copy(folder / "00.png", folder / "twin.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="session")
def finished(pictures, tmp_path_factory):
    """The whole chain over the pictures; its workspace may get further runs, and is not to be changed otherwise."""
    workspace = Workspace.create(tmp_path_factory.mktemp("finished") / "w")
    return Made(Run.create(workspace, recipe_of(pictures, {}), command="a test")).go()


@pytest.fixture(scope="module")
def elsewhere(pictures, tmp_path_factory):
    """Begins a run in a workspace that nobody else has, with changes of the recipe's top keys."""

    def begin(**changes):
        workspace = Workspace.create(tmp_path_factory.mktemp("elsewhere") / "w")
        return Made(Run.create(workspace, recipe_of(pictures, changes), command="a test"))

    return begin


@pytest.fixture
def further(finished, pictures):
    """Begins another run in the finished one's workspace, with changes of the recipe's top keys."""
    return lambda **changes: Made(Run.create(finished.run.workspace, recipe_of(pictures, changes), command="a test"))


@pytest.fixture
def begun(pictures, tmp_path):
    """Begins a run in a workspace of the test's own, with changes of the recipe's top keys."""
    return lambda **changes: Made(
        Run.create(Workspace.create(tmp_path / "w"), recipe_of(pictures, changes), command="a test")
    )


@pytest.fixture
def copied(finished, pictures, tmp_path):
    """Begins a run in a copy of the finished run's workspace without its trainings."""
    shutil.copytree(finished.run.workspace.root, tmp_path / "w", ignore=shutil.ignore_patterns("trainings", "runs"))
    workspace = Workspace.open(tmp_path / "w")
    return lambda **changes: Made(Run.create(workspace, recipe_of(pictures, changes), command="a test"))


@pytest.fixture(scope="session")
def tree():
    """The hash of every file below a folder."""
    return lambda folder: {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
