"""A worker that speaks the protocol and misbehaves on demand, which LAVIS does not: what it does is in the pixels."""

import sys

import numpy as np
import pytest

from pipeline.lavis.client import Worker

TALKER = """
import json, os, signal, sys, time
import numpy as np

print(json.dumps({"ready": 1}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    answer = {"id": request["id"]}
    if request["do"] == "load":
        if request.get("dies"):
            print("out of breath", file=sys.stderr, flush=True)
            os._exit(7)
        if request.get("refuses"):
            answer["error"] = "OSError: no such model"
    else:
        answer["captions"] = []
        for path in request["pictures"]:
            seen = int(np.load(path)[0, 0, 0])
            if seen == 200 or (seen == 201 and not os.path.exists("died")):
                open("died", "w").close()
                os.kill(os.getpid(), signal.SIGKILL)
            if seen == 210:
                time.sleep(600)
            if seen == 220:
                answer = {"id": request["id"], "error": "RuntimeError: a bad one"}
                break
            answer["captions"].append([f"{request['prompt']} {seen}"])
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def worker(tmp_path):
    (tmp_path / "talker.py").write_text(TALKER)
    made = Worker([sys.executable, "-I", str(tmp_path / "talker.py")])
    yield made
    made.close()


@pytest.fixture
def pictures():
    """Pictures of one value each: 200 kills the worker, 201 the first time, 210 hangs it, 220 it refuses."""
    return lambda *values: [np.full((2, 2, 3), value, np.uint8) for value in values]
