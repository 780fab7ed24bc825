"""Runs a small chain that is killed, or refused by the disk, at its k-th change of the disk, and the run after it.

    python tests/durability/points.py FOLDER PART HOW [LIMIT]

PART is `prepare` (from nothing to captions) or `run` (from there through training and evaluation to the report). HOW is
`kill`, `full` (no more room from there on), `error` (one input/output error) or `turns` (those three in turn). A
*point* is an opening for writing, a rename, removal, new folder or sync inside the workspace; an audit hook sees them
all, so nothing in gesso knows of it. LIMIT points of each kind are tried (the first, the last and some between), all
of them without it. Each try is a forked process: nothing is imported twice. The last line printed is JSON: `points`,
`tried`, `kinds`, and `wrong`, a list of [point, what is wrong].
"""

import errno
import gc
import importlib
import io
import json
import os
import re
import shutil
import signal
import sys
import traceback
from collections import defaultdict
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "GESSO_DEVICE": "cpu"}  # threads would not live through a fork

import click
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from safetensors import safe_open

from flows import engine  # noqa: F401 (imported for the children)
from flows.cli.gesso import main
from flows.settings import quiet
from pipeline import atomic, plugins
from pipeline.manifest import logical_digest
from pipeline.plan import ALL_STEPS, STEPS
from pipeline.run import Run
from pipeline.starter import collection
from pipeline.workspace import Workspace

PICTURES = 5
RUN_TABLES = ("origins", "samples", "edges", "ledger", "kept", "dropped", "captions", "reviewed", "views", "metrics")
KINDS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "os.symlink"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
WAYS = ("kill", "full", "error")
NEEDS_ROOM = ("open", "os.mkdir", "os.fsync", "os.link", "os.symlink")


def recipe(pictures):
    """A chain of seconds, through every step."""
    return {
        "name": "points",
        "sources": [{"path": str(pictures), "rights": {"license": "CC0-1.0"}}],
        "rights": {"allow": ["CC0-1.0"]},
        "dedup": {"near": None},
        "split": {"held_out": 0.4, "min_groups": 2},
        "buckets": {"resolution": 32, "step": 8},
        "train": {"steps": 2, "batch_size": 2, "checkpoint_every": 1, "keep_checkpoints": 1, "rank": 2},
        "evaluate": {"every": 2, "prompts": ["a circle"], "seeds": [1], "steps": 1},
    }


class Hook:
    """Sees the points below `root` in order; at number `at` (from 0) it kills the process or refuses."""

    def __init__(self, root, *, at=None, how="kill"):
        self.root, self.at, self.how, self.points = f"{root}{os.sep}", at, how, []

        def fsync(descriptor):  # seen only: a killed process loses nothing that the system has taken
            self.see("os.fsync", Path(f"/proc/self/fd/{descriptor}").readlink())

        os.fsync = fsync
        sys.addaudithook(self)

    def __call__(self, event, arguments):
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, str | bytes | os.PathLike) and flags & WRITING:
                self.see(event, path)
        elif event in KINDS and isinstance(arguments[0], str | bytes | os.PathLike):
            # what a part is called is chance; what it becomes is its kind
            self.see(event, arguments[1] if event == "os.rename" else arguments[0])

    def see(self, event, path):
        path = str(Path(os.fsdecode(path)).absolute())
        if not f"{path}/".startswith(self.root):
            return
        number = len(self.points)
        self.points.append(f"{event} {kind(path.removeprefix(self.root))}")
        if self.at is None or number < self.at:
            return
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "full" and event in NEEDS_ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        if self.how == "error" and number == self.at:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)


def kind(path):
    path = re.sub(r"\.[0-9a-f]{8}\.part", ".part", path)
    path = re.sub(r"\d{8}-\d{6}-\d{3}-[0-9a-f]{6}", "RUN", path)
    path = re.sub(r"events\.out\S*", "EVENTS", path)
    path = re.sub(r"step-\d+", "step-N", path)
    return re.sub(r"\b[0-9a-f]{16,64}\b", "HASH", re.sub(r"originals/[0-9a-f]{2}\b", "originals/XX", path))


def forked(work):
    """Do work in a child; its exit code, or minus the signal, and what it returned as JSON."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        code = 99
        try:
            os.close(reading)
            with os.fdopen(writing, "w") as out:
                code, value = work()
                json.dump(value, out)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as told:
        text = told.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, json.loads(text) if text else None


def chain(recipe, root, part, hook=None):
    """Type the command: its exit code, and the hook's points or what it said last on standard error."""
    words = [part, str(recipe), "-w", str(root), "--engine", "plain"]
    said = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(said):
        try:
            main(words if part == "run" else [*words, "--until", "caption"], standalone_mode=False)
        except SystemExit as ended:
            code = ended.code
        except click.exceptions.Exit as ended:
            code = ended.exit_code
        else:
            code = 0
    return code, hook.points if hook and not code else "\n".join(said.getvalue().splitlines()[-1:])


def then(recipe, root, part):
    """Type the command, and look at what is there: its exit code, and the state or what was said."""
    code, said = chain(recipe, root, part)
    return code, said if code else state(root)


def state(root):
    """What a workspace holds, without times and run ids."""
    workspace = Workspace.open(root)
    run = Run.open(workspace, sorted(path.parent.name for path in workspace.runs.glob("*/run.json"))[-1])
    found = {"originals": sorted(path.name for path in root.glob("originals/*/*"))}
    for folder in sorted(root.glob("tables/*/*/")) + sorted(root.glob("cache/*/*/")):
        shards = [pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]
        table = pa.concat_tables(shards)
        key = [name for name in table.column_names if name in ("sample_id", "pixel_id", "view", "caption", "inputs")]
        found[str(folder.relative_to(root))] = logical_digest(table, key)
    for name in RUN_TABLES:
        rows = run.rows(name)
        found[name] = sorted(repr(sorted(row.items())) for row in rows)
    found["trainset"] = run.json("trainset")
    found["training"] = run.json("training")
    found["trainsets"] = {
        str(path.relative_to(root)): path.read_text() if path.suffix == ".md" else repr(pq.read_table(path).to_pylist())
        for path in sorted(root.glob("trainsets/*/*"))
    }
    for path in sorted(root.glob("trainings/**/*")):
        name = str(path.relative_to(root))
        if path.suffix == ".parquet":
            found[name] = repr(pq.read_table(path).to_pylist())
        elif path.suffix == ".safetensors":
            with safe_open(path, "np") as file:
                found[name] = [repr(sorted(file.metadata().items())), path.read_bytes().hex()[-4000:]]
        elif path.is_file() and "tensorboard" not in name:
            found[name] = "" if path.name == "state.pt" else path.read_text()
    found["report"] = (run.folder / "report.html").exists()
    found["unfinished"] = sorted(str(path.relative_to(root)) for path in root.rglob("*") if atomic.is_part(path.name))
    found["outcome"] = run.json("outcome").get("exit_code")
    return found


def chosen(points, limit):
    """The numbers of the points to try: of each kind, `limit` spread over its occurrences."""
    if limit is None:
        return list(range(len(points)))
    by_kind = defaultdict(list)
    for number, point in enumerate(points):
        if point:
            by_kind[point].append(number)
    found = set()
    for numbers in by_kind.values():
        count = min(limit, len(numbers))
        found |= {numbers[round(at * (len(numbers) - 1) / max(1, count - 1))] for at in range(count)}
    return sorted(found)


def tried(folder, part, how, limit=None):
    """Try the points; see the module's text."""
    quiet()
    folder = Path(folder)
    pictures, asked = folder / "pictures", folder / "recipe.yaml"
    collection.plain(pictures, count=PICTURES)
    (pictures / "broken.png").write_bytes(b"no picture")
    asked.write_text(yaml.safe_dump(recipe(pictures)))
    steps = STEPS["prepare"] if part == "prepare" else ALL_STEPS
    for name in [f"steps.{step}" for step in steps] + [f"sources.{name}" for name in plugins.names("sources")]:
        importlib.import_module(f"pipeline.{name}")
    plugins.load_all("scorers")
    importlib.import_module("pandas")  # pyarrow looks whether lists are of its kinds
    if part == "run":
        importlib.import_module("diffusers.pipelines.stable_diffusion")
        for group in ("methods", "metrics"):
            plugins.load_all(group)
    gc.freeze()
    os.fsync = lambda descriptor: None
    before, place, whole = folder / "before", folder / "w", folder / "whole"
    before.mkdir()
    if part == "run":
        code, said = forked(lambda: chain(asked, before, "prepare"))
        assert code == 0, said

    def fresh():
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(before, place)

    fresh()
    code, points = forked(lambda: chain(asked, place, part, Hook(place)))
    assert code == 0, points
    place.rename(whole)
    _, wanted = forked(lambda: (0, state(whole)))
    if part == "run" and limit:  # what the preparation has in the same way is tried there
        own = re.compile(r"(open|os\.rename|os\.remove|os\.rmdir) (trainings|trainsets|cache|evaluations)\b")
        points = [point if own.match(point) else "" for point in points]
    numbers, wrong = chosen(points, limit), []
    for number in numbers:
        fresh()
        way = WAYS[number % len(WAYS)] if how == "turns" else how
        code, said = forked(lambda at=number, way=way: chain(asked, place, part, Hook(place, at=at, how=way)))
        if problem := ending(way, code, said):
            wrong.append([f"{number} {points[number]}", problem])
        code, found = forked(lambda: then(asked, place, part))
        differs = [] if code else [name for name in {*wanted, *found} if wanted.get(name) != found.get(name)]
        if code or differs:
            told = f"ended with {code}: {found}" if code else f"differs in {differs}"
            wrong.append([f"{number} {points[number]}", f"the next run {told}"])
    return {"points": len(points), "tried": len(numbers), "kinds": len({*points} - {""}), "wrong": wrong}


def ending(how, code, said):
    """What is wrong with how a run ended that was killed or refused."""
    if how == "kill":
        return "" if code == -signal.SIGKILL else f"ended with {code}: {said}"
    if code == 0:  # the disk refused something that is no loss, such as the log
        return ""
    clear = code == 1 and isinstance(said, str) and said.startswith("gesso: ") and "the same command again" in said
    return "" if clear else f"ended with {code}: {said}"


if __name__ == "__main__":
    click.echo(json.dumps(tried(*sys.argv[1:4], *map(int, sys.argv[4:]))))
