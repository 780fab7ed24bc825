import http.server
import subprocess
import sys
import threading
import time
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError
from pipeline.manifest import ORIGINS, table_of
from pipeline.settings import Fetch, Source
from pipeline.sources import urls
from pipeline.workspace import Workspace


@pytest.fixture
def workspace(tmp_path):
    return Workspace.create(tmp_path / "workspace")


@pytest.fixture
def server():
    """A server that counts what it is asked: /ok…, /noai, /never, /flaky which fails twice, /slow and /paced…."""
    asked, let_go = Counter(), threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_GET(self):
            asked[self.path] += 1
            if self.path == "/slow":
                let_go.wait(30)
            if self.path.startswith("/paced"):
                time.sleep(0.1)
            fails = self.path == "/never" or (self.path == "/flaky" and asked[self.path] < 3)
            status = 503 if fails else 404 if self.path == "/gone" else 200
            self.send_response(status)
            body = self.path.encode() if status == 200 else b""
            if self.path == "/noai":
                self.send_header("X-Robots-Tag", "noai")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.let_go, made.asked, made.host = let_go, asked, f"127.0.0.1:{made.server_port}"
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    let_go.set()
    made.shutdown()
    made.server_close()


def source(path, server, **more):
    settings = {"private": (server.host,), "wait": 0.01, "tries": 3, "seconds": 20.0, **more}
    return Source(kind="urls", path=path, fetch=Fetch(**settings))


def scan(path, server, workspace, **more):
    rows = urls.scan(source(path, server, **more), 0, workspace)
    table_of(rows, ORIGINS)
    return {row["origin"].removeprefix(f"http://{server.host}"): row for row in rows}


def test_what_came_and_what_did_not_and_why(tmp_path, server, workspace):
    names = ("ok", "flaky", "never", "gone", "noai")
    lines = "\n".join(f"http://{server.host}/{name}" for name in names)
    (tmp_path / "list.txt").write_text(f"# mine\n{lines}\n\nfile:///etc/passwd\nhttp://127.0.0.2:9/x\n")
    rows = scan(tmp_path / "list.txt", server, workspace)
    assert {name: (row["error"] or "").partition(":")[0] for name, row in rows.items()} == {
        "/ok": "",
        "/flaky": "",
        "/never": "http_status",
        "/gone": "http_status",
        "/noai": "objected",
        "file:///etc/passwd": "unsafe_address",
        "http://127.0.0.2:9/x": "unsafe_address",
    }
    assert workspace.original(rows["/ok"]["sample_id"]).read_bytes() == b"/ok"
    assert rows["/ok"]["source_url"] == f"http://{server.host}/ok"
    assert rows["/ok"]["retrieved_at"].endswith("+00:00")
    assert rows["/noai"]["ai_optout"] is True
    assert rows["/noai"]["optout_source"] == "X-Robots-Tag: noai"
    assert server.asked == {"/ok": 1, "/flaky": 3, "/never": 3, "/gone": 1, "/noai": 1}


def test_a_second_run_asks_only_for_what_may_be_another_now(tmp_path, server, workspace):
    path = tmp_path / "list.txt"
    path.write_text("\n".join(f"http://{server.host}/{name}" for name in ("ok", "never", "gone", "noai")))
    first = scan(path, server, workspace)
    known = dict(urls.known(source(path, server), workspace))
    assert known == {first["/ok"]["origin"]: first["/ok"]["sample_id"], first["/never"]["origin"]: None}
    before = Counter(server.asked)
    assert scan(path, server, workspace) == first
    assert server.asked - before == {"/never": 3}
    workspace.original(first["/ok"]["sample_id"]).unlink()
    scan(path, server, workspace)
    assert server.asked["/ok"] == 2


def test_a_run_that_is_stopped_goes_on_where_it_was(tmp_path, server, workspace):
    path = tmp_path / "list.txt"
    path.write_text("\n".join(f"http://{server.host}/ok{number:02}" for number in range(20)))
    seen = []

    def stop(done, total):
        seen.append((done, total))
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        urls.scan(source(path, server, connections=2), 0, workspace, progress=stop)
    assert seen[-1] == (7, 20)
    rows = scan(path, server, workspace, connections=2)
    assert len([row for row in rows.values() if row["sample_id"]]) == 20
    assert all(server.asked[f"/ok{number:02}"] == 1 for number in range(7))


def test_a_run_that_is_killed_asks_again_only_for_what_came_last(tmp_path, server, workspace):
    """SIGKILL, no last words, while the first address of the list still takes its time."""
    path = tmp_path / "list.txt"
    names = ["slow", *(f"paced{number:03}" for number in range(120))]
    path.write_text("\n".join(f"http://{server.host}/{name}" for name in names))
    code = (
        "import sys; from pathlib import Path; from pipeline.settings import Fetch, Source\n"
        "from pipeline.sources import urls; from pipeline.workspace import Workspace\n"
        "source = Source(kind='urls', path=sys.argv[2], fetch=Fetch(private=(sys.argv[1],)))\n"
        "urls.scan(source, 0, Workspace(Path(sys.argv[3])))\n"
    )
    one = subprocess.Popen([sys.executable, "-c", code, server.host, str(path), str(workspace.root)])
    while len(server.asked) < 110 and one.poll() is None:
        time.sleep(0.02)
    one.kill()
    one.wait()
    before = Counter(server.asked)
    server.let_go.set()
    rows = scan(path, server, workspace)
    assert len([row for row in rows.values() if row["sample_id"]]) == len(names)
    again = [name for name in before if server.asked[name] > 1]
    assert "/slow" in again
    assert len(again) < 70, "of 110 that came in some three seconds only those of the last one are asked again"


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_lists_with_captions_and_rights(tmp_path, server, workspace, kind):
    url = f"http://{server.host}/ok"
    path = tmp_path / f"list.{kind}"
    if kind == "csv":
        path.write_text(f"url,text,license_spdx,mood\n{url},a cat,MIT,5\n")
    elif kind == "jsonl":
        path.write_text(f'{{"url": "{url}", "text": "a cat", "license_spdx": "MIT", "mood": 5}}\n')
    else:
        pq.write_table(pa.table({"URL": [url], "text": ["a cat"], "license_spdx": ["MIT"], "mood": [5]}), path)
    row = scan(path, server, workspace)["/ok"]
    assert (row["sidecar"], row["license"], row["error"]) == ("a cat", "MIT", None)


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("a.csv", "link\nx\n", "every row needs a url"),
        ("a.csv", "url,text\nhttp://x,a\nhttp://x,b\n", "two rows say different things"),
        ("a.jsonl", "{", "cannot be read"),
        ("a.parquet", "<html>", "cannot be read"),
        ("a.xls", "", "there is no list"),
    ],
)
def test_lists_that_cannot_be_understood(tmp_path, server, workspace, name, text, problem):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=problem):
        scan(tmp_path / name, server, workspace)
