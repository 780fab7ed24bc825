"""What can be told without a server; waking a flow is tried in test_gate.py."""

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.review_resume import resume
from flows.server import Served, ServerError
from pipeline.errors import InputError


def test_where_no_flow_ever_slept_no_server_is_asked(begun):
    run = begun()
    with pytest.raises(InputError, match=r"WORKSPACE: no flow sleeps here.*run the same command again"):
        resume(run.workspace)
    with pytest.raises(InputError, match="--run: no flow sleeps here"):
        resume(run.workspace, run.id)
    assert not (run.workspace.root / "prefect.db").exists()


def test_a_server_that_does_not_answer_is_named(begun):
    run = begun()
    run.save_json("gate", {"flow_run": "00000000-0000-0000-0000-000000000000", "asked": 1})
    Served("http://127.0.0.1:1/api", own=False).write(run.workspace.root)
    with (
        temporary_settings(restore_defaults={PREFECT_API_URL}),
        pytest.raises(ServerError, match=r"server at http://127\.0\.0\.1:1/api does not answer"),
    ):
        resume(run.workspace)


def test_a_flow_run_that_the_server_does_not_know_sleeps_no_more(begun, prefect):
    run = begun()
    run.save_json("gate", {"flow_run": "00000000-0000-0000-0000-000000000000", "asked": 1})
    with pytest.raises(InputError, match="no flow sleeps here"):
        resume(run.workspace)


def test_apply_keeps_what_it_applied_where_nothing_sleeps(recipe, gesso):
    assert gesso("prepare", recipe(), "-w", "w", "--engine", "plain").exit_code == 0
    assert gesso("review", "export", "w").exit_code == 0
    apply = ("review", "apply", "w", "w/review.csv", "--accept-rest", "--reviewer", "me", "--resume")
    assert gesso(*apply, "--dry-run").exit_code == 2
    done = gesso(*apply)
    assert done.exit_code == 2
    assert "6 decisions applied" in done.stdout
    assert "no flow sleeps here" in done.stderr
    assert gesso("review", "status", "w").stdout.startswith("6 of 6 captions are decided")
    assert gesso("review", "resume", "w").exit_code == 2
