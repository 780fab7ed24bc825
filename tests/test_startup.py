"""What commands import, each in a process of its own: what takes seconds only where it is used."""

import subprocess
import sys

import pytest

from pipeline.starter import collection

MODELS = {"torch", "diffusers", "transformers", "peft", "accelerate"}
SLOW = {"openpyxl", "pandas", "scipy", "sklearn", "tensorboard", "albumentations", "huggingface_hub"}
COMMAND = """
import sys
from flows.cli.gesso import main
try:
    main(sys.argv[2:])
except SystemExit as ended:
    assert not ended.code, ended.code
finally:
    print(*sorted(set(sys.argv[1].split()) & set(sys.modules)), file=sys.stderr)
"""
RECIPE = """
name: small
sources: [{kind: folder, path: FOLDER}]
rights: {unknown: accept}
split: {held_out: 0.3, min_groups: 2}
caption: {captioner: blip, prefer_sidecar: false, params: {num_beams: 1, max_tokens: 5}}
buckets: {resolution: 64, step: 8}
train: {method: lora, rank: 2, steps: 1, batch_size: 2}
evaluate: {prompts: [a star], seeds: [1], steps: 1}
"""


def imports(names, *command):
    """Which of the modules a command has imported when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, " ".join(names), *map(str, command)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()[-1].split()


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A recipe and a workspace in which it was run to its end."""
    folder = tmp_path_factory.mktemp("startup")
    collection.plain(folder / "pictures", count=8)
    recipe, workspace = folder / "recipe.yaml", folder / "work"
    recipe.write_text(RECIPE.replace("FOLDER", str(folder / "pictures")))
    code = "from flows.cli.gesso import main; main()"
    subprocess.run(
        [sys.executable, "-c", code, "run", recipe, "--engine", "plain", "--workspace", workspace],
        check=True,
        capture_output=True,
    )
    return recipe, workspace


@pytest.mark.parametrize(
    "command",
    [
        "--help",
        "run --help",
        "recipe schema",
        "doctor",
        *(f"list {kind}s" for kind in ("scorer", "captioner", "method", "metric", "source")),
    ],
)
def test_asking_what_gesso_can_do_is_cheap(command):
    assert imports({*MODELS, *SLOW, "prefect"} - {"huggingface_hub"}, *command.split()) == []


@pytest.mark.parametrize(
    "command", ["ledger {workspace}", "show {workspace} {picture}", "plan {recipe} -w {workspace}"]
)
def test_looking_at_a_workspace_is_cheap(work, command):
    recipe, workspace = work
    picture = min((recipe.parent / "pictures").glob("*.png"))
    asked = [word.format(recipe=recipe, workspace=workspace, picture=picture) for word in command.split()]
    assert imports({*MODELS, *SLOW, "prefect"}, *asked) == []


def test_preparing_needs_no_model(work, tmp_path):
    recipe, _ = work
    asked = ["prepare", recipe, "--until", "select", "--engine", "plain", "--workspace", tmp_path / "new"]
    assert imports({*MODELS, "prefect", "tensorboard", "albumentations", "pandas"}, *asked) == []


def test_a_run_that_finds_everything_done_loads_no_model(work):
    recipe, workspace = work
    asked = ["run", recipe, "--engine", "plain", "--workspace", workspace]
    assert imports({*MODELS, *SLOW - {"scipy"}, "prefect"}, *asked) == []


def test_what_computes_does_import(work, tmp_path):
    # or the tests above could not fail
    recipe, _ = work
    asked = ["prepare", recipe, "--engine", "plain", "--workspace", tmp_path / "new"]
    assert imports(MODELS, *asked) != []
