from dataclasses import dataclass, replace

import pytest

from pipeline.review.gate import share, undecided
from pipeline.review.rows import ReviewRow


@dataclass(frozen=True)
class Rule:
    require: object
    undecided: str = "wait"


def row(number, *, flagged=False, decided=False):
    return ReviewRow(
        sample_id=f"s{number}",
        pixel_id=f"p{number}",
        origin=f"{number}.jpg",
        split="train",
        flags=("very short",) if flagged else (),
        proposed="a cat",
        source="sidecar",
        caption="a cat",
        decided=decided,
    )


ROWS = [row(0), row(1, flagged=True), row(2, decided=True), row(3, flagged=True, decided=True)]


@pytest.mark.parametrize(
    ("require", "expected"),
    [
        ("none", []),
        ("flagged", ["s1"]),
        ("all", ["s0", "s1"]),
        (0, []),
        (0.0, []),
        (1, ["s0", "s1"]),
        (1.0, ["s0", "s1"]),
    ],
)
def test_who_is_asked(require, expected):
    assert undecided(ROWS, Rule(require)) == expected


@pytest.mark.parametrize("require", ["some", -0.1, 1.1, float("nan")])
def test_a_wrong_rule(require):
    with pytest.raises(ValueError, match=r"review\.require"):
        undecided(ROWS, Rule(require))


def test_a_fraction_is_about_that_fraction_and_sticky():
    rows = [row(n) for n in range(2000)]
    fifth = undecided(rows, Rule(0.2))
    assert len(fifth) == pytest.approx(400, abs=4 * (2000 * 0.2 * 0.8) ** 0.5)  # four standard deviations
    assert fifth == [r.sample_id for r in rows if share(r.pixel_id) < 0.2]
    assert set(fifth) <= set(undecided(rows, Rule(0.3)))
    assert undecided(rows[::-1], Rule(0.2)) == fifth[::-1]
    assert undecided(rows[:100], Rule(0.2)) == [s for s in fifth if int(s[1:]) < 100]


def test_a_fraction_shrinks_as_people_decide_and_nobody_else_is_drawn():
    rows = [row(n) for n in range(200)]
    asked = undecided(rows, Rule(0.2))
    done = set(asked[:10])
    assert undecided([replace(r, decided=r.sample_id in done) for r in rows], Rule(0.2)) == asked[10:]


def test_share_is_a_number_from_0_to_1_and_fixed():
    assert all(0 <= share(str(n)) < 1 for n in range(1000))
    # planted: a change would draw other pictures for reviews that are under way
    assert share("p0") == 0.5326456887415777
