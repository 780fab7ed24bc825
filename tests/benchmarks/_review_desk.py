"""What the benchmarks of the review page share: drawn pictures to review, the server as a process, and its client."""

import http.cookiejar
import json
import multiprocessing
import multiprocessing.process
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from pipeline.starter import collection

ROOT = Path(__file__).parents[2]
PATIENCE = 300.0
"""How long a server may take to answer, in seconds."""
TOKEN = "benchmark"  # noqa: S105 (of a server that lives for seconds)
RECIPE = """
name: review
sources: [{kind: folder, path: PHOTOS, rights: {license: CC0-1.0}}]
rights: {allow: [CC0-1.0]}
dedup: {near: null}
"""
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["flows.review_server", "flows.review_desk", "pipeline.run"])
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--window-size=1400,900")


def prepared(folder: Path, count: int) -> Path:
    """A workspace with so many captioned pictures to review."""
    collection.plain(folder / "photos", count=count)
    (folder / "recipe.yaml").write_text(RECIPE.replace("PHOTOS", str(folder / "photos")), encoding="utf-8")
    words = ["prepare", str(folder / "recipe.yaml"), "--engine", "plain", "--workspace", str(folder / "work")]
    program = [sys.executable, "-c", "from flows.cli.gesso import main; main()"]
    subprocess.run([*program, *words], check=True, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return folder / "work"


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _serve(workspace: str, port: int) -> None:
    """What `gesso review serve` does, with a token that is known."""
    from flows import review_server
    from flows.review_desk import desk_of
    from pipeline.run import Run
    from pipeline.workspace import Workspace

    place = Workspace.open(Path(workspace))
    latest = place.latest_run()
    assert latest is not None
    run = Run.open(place, latest.name)
    taken, _ = review_server.address(port)
    app = review_server.app(
        desk_of(run), lambda sample_id: place.original(sample_id).read_bytes(), port=port, token=TOKEN, reviewer="anna"
    )
    review_server.serve(app, taken)


class Server:
    """The review page's server as a process of its own, which can be killed and started again at the same port."""

    def __init__(self, workspace: Path) -> None:
        self.workspace, self.port = workspace, free_port()
        self.process: multiprocessing.process.BaseProcess | None = None

    def start(self) -> None:
        """Start it, and come back when it answers."""
        self.process = FORKS.Process(target=_serve, args=(str(self.workspace), self.port), daemon=True)
        self.process.start()
        end = time.monotonic() + PATIENCE
        while True:
            try:
                Client(self.port).ask("/api/start")
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        """End it by kill -9."""
        if self.process:
            self.process.kill()
            self.process.join()

    @property
    def page(self) -> str:
        """The address to open."""
        return f"http://127.0.0.1:{self.port}/?token={TOKEN}"


class Client:
    """Asks as the page does."""

    def __init__(self, port: int) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
        self.opener.open(f"{self.origin}/?token={TOKEN}", timeout=60).close()

    def ask(self, path: str, body: Any = None) -> Any:
        """The answer to a question, or to a change where there is a body."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Origin": self.origin}
        request = urllib.request.Request(f"{self.origin}{path}", data, headers)  # noqa: S310 (our own server)
        with self.opener.open(request, timeout=60) as answer:
            return json.load(answer)


def browser(profile: Path) -> Any:
    """Chromium, opened by selenium; needs Debian's chromium and chromium-driver."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))


def machine() -> str:
    """The machine in words."""
    return f"{os.uname().machine}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.0f}"


def record(told: dict[str, Any], *, keep: bool) -> None:
    """Print the result as one JSON object, and keep it among the records."""
    line = json.dumps(told)
    print(line)  # noqa: T201 (the benchmark's result)
    if keep:
        with (ROOT / "reports" / "benchmarks" / f"{told['name']}.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")
