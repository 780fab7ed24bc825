import json

from pipeline.captioners import clip_tags
from pipeline.imaging import decode
from pipeline.starter.scene import COLORS
from pipeline.workspace import Workspace


def test_limits_are_written_that_the_tagger_then_keeps(copied, gesso):
    (copied / "words.txt").write_text("# colours\n" + "\n".join(COLORS))
    asked = ("tags", copied / "w", "--vocabulary", "words.txt", "--to", "limits.txt")
    done = gesso(*asked, "--precision", 0.5, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["known"] == 6
    assert list(told["limits"]) == list(COLORS)
    workspace = Workspace.open(copied / "w")
    pictures = [path for path in (copied / "pictures").glob("*.png") if path.name != "broken.png"]
    rows = [{"pixels": decode(path.read_bytes()).pixels} for path in pictures]
    said = clip_tags.caption(rows, clip_tags.Params(vocabulary=copied / "limits.txt"))
    counted = {tag: sum(tag in one.split(", ") for one in said) for tag in COLORS}
    assert counted == {tag: round(share * 6) for tag, share in told["taken"].items()}
    again = gesso(*asked)
    assert again.exit_code == 2
    assert "it is there already" in again.stderr
    assert workspace.latest_run()
