import http.cookiejar
import json
import re
import signal
import subprocess
import sys
import urllib.request


def test_export_and_apply(copied, gesso):
    done = gesso("review", "export", "w")
    assert done.exit_code == 0, done.output
    assert (copied / "w" / "review.csv").exists()
    again = gesso("review", "export", "w")
    assert again.exit_code == 2
    assert "the file is there already" in again.stderr
    assert gesso("review", "export", "w", "--replace").exit_code == 0
    done = gesso("review", "apply", "w", "w/review.csv", "--accept-rest", "--reviewer", "me")
    assert done.exit_code == 0, done.output
    assert "6 decisions applied" in done.stdout
    assert "Read w/review.csv: 6 rows of text in UTF-8" in done.stdout
    assert [path.name for path in (copied / "w" / "decisions").glob("*.jsonl")] == ["me.jsonl"]
    told = gesso("review", "status", "w").stdout
    assert told.startswith("6 of 6 captions are decided (6 of them unread)")
    done = gesso("review", "undo", "w")
    assert done.stdout.startswith("6 decisions of ")
    assert gesso("review", "status", "w").stdout.startswith("0 of 6 captions are decided")
    assert gesso("review", "conflicts", "w", "--to", "c.csv").stdout == "no conflict waits for a person\n"


def test_a_broken_id_changes_nothing(copied, gesso, tree):
    gesso("review", "export", "w")
    path = copied / "w" / "review.csv"
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    cells = lines[1].split(",", 1)
    path.write_text("\n".join([lines[0], f"zzz{cells[0][3:]},{cells[1]}", *lines[2:]]), encoding="utf-8")
    before = tree(copied)
    done = gesso("review", "apply", "w", path, "--accept-rest", "--reviewer", "me")
    assert done.exit_code == 2
    assert done.stdout == f"Read {path}: 6 rows of text in UTF-8, separated by commas\n"
    assert "column id" in done.stderr
    assert "Traceback" not in done.stderr
    assert tree(copied) == before


def test_a_run_without_captions(recipe, gesso):
    assert gesso("prepare", recipe(), "-w", "w", "--engine", "plain", "--until", "select").exit_code == 0
    done = gesso("review", "export", "w")
    assert done.exit_code == 2
    assert done.stderr.startswith("gesso: --run: this run has no captions to review")


def test_for_a_script(copied, gesso):
    exported = json.loads(gesso("review", "export", "w", "--json").stdout)
    assert (exported["captions"], exported["files"]) == (6, ["w/review.csv"])
    apply = ("review", "apply", "w", "w/review.csv", "--accept-rest", "--reviewer", "me", "--json")
    tried = json.loads(gesso(*apply, "--dry-run").stdout)
    assert (tried["dry_run"], tried["applied"], tried["accepted"], tried["conflicts"]) == (True, 0, 6, 0)
    applied = json.loads(gesso(*apply).stdout)
    assert applied == {**tried, "dry_run": False, "applied": 6, "batch": applied["batch"]}
    assert json.loads(gesso(*apply).stdout)["unchanged"] == 6


def test_serve_prints_an_address_that_opens_the_page_until_it_is_stopped(copied):
    code = "from flows.cli.gesso import main; main()"
    command = [sys.executable, "-c", code, "review", "serve", "w", "--reviewer", "anna"]
    with subprocess.Popen(command, cwd=copied, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        address = re.match(r"Open (http://127\.0\.0\.1:\d+/\?token=\S+)\n", process.stdout.readline())[1]
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        assert b"<title>Review" in opener.open(address, timeout=60).read()
        listed = json.load(opener.open(f"{address.partition('?')[0]}api/list", timeout=60))
        assert len(listed["ids"]) == 6
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said == "gesso: stopped; what was done is kept, run the same command again to go on\n"
