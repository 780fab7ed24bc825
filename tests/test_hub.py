import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import constants

from pipeline.errors import ModelError
from pipeline.hub import download

COMMIT = "0" * 39 + "1"
FILES = {
    "config.json": b"{}",
    "model.safetensors": b"weights",
    "model.ema.safetensors": b"",
    "pytorch_model.bin": b"pickle",
}


class Hub(BaseHTTPRequestHandler):
    """The few answers of a model hub that a download needs."""

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.path.partition("?")[0]
        if "gated" in path:
            self.answer(403, {}, {"X-Error-Code": "GatedRepo"})
        elif "unknown" in path:
            self.answer(401, {}, {"X-Error-Code": "RepoNotFound"})
        elif "/revision/lost" in path:
            self.answer(404, {}, {"X-Error-Code": "RevisionNotFound"})
        elif "/tree/" in path:
            listing = [{"type": "file", "path": name, "size": len(data), "oid": name} for name, data in FILES.items()]
            self.answer(200, listing)
        elif path.startswith("/api/models/"):
            self.answer(200, {"id": "some/model", "sha": COMMIT, "siblings": [{"rfilename": name} for name in FILES]})
        else:
            data = FILES[path.rpartition("/")[2]]
            self.answer(200, data, {"ETag": f'"{path.rpartition("/")[2]}"', "X-Repo-Commit": COMMIT})

    def answer(self, status, body, headers=None):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    return tmp_path


@pytest.fixture
def hub(monkeypatch, cache):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def no_hub(monkeypatch, cache):
    # nothing listens on the port that discards
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")


def get(reference, revision=None):
    return download(
        reference,
        revision,
        wanted=["*.json", "*.safetensors"],
        unwanted=["*.ema.*"],
        complete=lambda folder: (folder / "model.safetensors").exists(),
        field="caption.model",
    )


def test_what_is_wanted_is_downloaded_once_and_pickles_never(hub, monkeypatch):
    folder = get("some/model", COMMIT)
    assert sorted(one.name for one in folder.iterdir()) == ["config.json", "model.safetensors"]
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert get("some/model", COMMIT) == folder


def test_an_incomplete_cache_is_completed(hub):
    folder = get("some/model", COMMIT)
    (folder / "model.safetensors").unlink()
    assert (get("some/model", COMMIT) / "model.safetensors").read_bytes() == b"weights"


@pytest.mark.parametrize(
    ("reference", "revision", "message"),
    [
        ("some/gated", None, "accepted their terms"),
        ("some/unknown", None, "no such public model"),
        ("some/model", "lost", "no such revision"),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(hub, reference, revision, message):
    with pytest.raises(ModelError, match=message) as caught:
        get(reference, revision)
    assert caught.value.field == "caption.model"
    assert "\n" not in str(caught.value)
    assert reference in str(caught.value)


def test_a_hub_out_of_reach_is_told_within_seconds(no_hub):
    began = time.monotonic()
    with pytest.raises(ModelError, match=r"cannot be reached.*hf download some/model"):
        get("some/model", "main")
    assert time.monotonic() - began < 5


def test_offline_mode_is_respected(cache, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="cannot be reached"):
        get("some/model")
