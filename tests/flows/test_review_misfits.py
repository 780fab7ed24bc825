import json

from pipeline.run import Run
from pipeline.workspace import Workspace


def test_the_worst_are_listed_first_with_their_numbers(copied, gesso):
    done = gesso("review", "misfits", copied / "w", "--limit", 3, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["measured"], len(told["captions"])) == (6, 3)
    fits = [one["fit"] for one in told["captions"]]
    workspace = Workspace.open(copied / "w")
    run = Run.open(workspace, told["run"])
    assert fits == sorted(row["fit"] for row in run.rows("fits"))[:3]
    words = gesso("review", "misfits", copied / "w", "--limit", 2).stdout.splitlines()
    assert words[0] == "2 of 6 captions, those that fit worst first:"
    assert told["captions"][0]["caption"] in words[1]
    assert told["captions"][0]["origin"] in words[1]
