import json
import math
from dataclasses import replace

import numpy as np

from pipeline.reporting.facts import MOST_ROWS, facts
from pipeline.reporting.record import TrainingPoint


def test_the_facts_are_strict_json_without_pictures(record):
    told = json.loads(json.dumps(facts(record), allow_nan=False))
    assert told["verdict"].startswith("Kept 31 of 47 files")
    assert (told["files"], told["kept"], told["states"]["duplicate"]) == (47, 31, 5)
    assert "thumbnails" not in told
    assert told["evaluations"][0]["samples"][0] == {"prompt": record.evaluations[0].samples[0].prompt, "seed": 1}
    assert told["started"] == "2026-07-01T09:30:00+00:00"
    assert len(told["ledger"]) == 47


def test_what_is_no_number_becomes_null(record):
    points = [TrainingPoint(np.int64(1), math.nan, np.float32(0.5)), TrainingPoint(2, math.inf, 0.1)]
    told = json.loads(json.dumps(facts(replace(record, training=points)), allow_nan=False))
    assert told["training"] == [
        {"step": 1, "loss": None, "learning_rate": 0.5},
        {"step": 2, "loss": None, "learning_rate": 0.1},
    ]


def test_a_long_run_is_told_shortened_with_both_ends(record):
    points = [TrainingPoint(step, 0.5, 0.1) for step in range(MOST_ROWS * 3)]
    told = facts(replace(record, training=points))
    assert told["shortened"] == {"training": MOST_ROWS * 3}
    steps = [point["step"] for point in told["training"]]
    assert (len(steps), steps[0], steps[-1]) == (MOST_ROWS, 0, MOST_ROWS * 3 - 1)
    assert facts(record)["shortened"] == {}
