"""The peers' side of prepare_speed.py, run by the peers' own Python: a folder of pictures in, seconds of each out."""

import json
import sys
import time
from importlib import metadata

NEAR = 6


def main(folder: str) -> None:
    """All of cleanvision's checks, then imagededup's perceptual hash and its pairs; prints one JSON object last."""
    began = time.monotonic()
    from cleanvision import Imagelab
    from imagededup.methods import PHash

    imported = time.monotonic()
    lab = Imagelab(data_path=folder)
    lab.find_issues(verbose=False)
    cleaned = time.monotonic()
    pairs = PHash(verbose=False).find_duplicates(image_dir=folder, max_distance_threshold=NEAR)
    found = {
        "seconds_imports": imported - began,
        "seconds_cleanvision": cleaned - imported,
        "seconds_imagededup": time.monotonic() - cleaned,
        "pictures": [len(lab.issues), len(pairs)],
        "versions": {name: metadata.version(name) for name in ("cleanvision", "imagededup")},
    }
    print(json.dumps(found))  # noqa: T201 (what prepare_speed.py reads)


if __name__ == "__main__":
    main(sys.argv[1])
