import re

from pipeline.reporting.parallel import Axis, parallel_chart, said


def test_numbers_lie_by_size_or_by_order_of_magnitude_and_choices_in_their_order():
    assert Axis("rank", [4, 8, 12]).places == [0.0, 0.5, 1.0]
    assert Axis("rate", [1e-5, 1e-4, None, 1e-3], log=True).places == [0.0, 0.5, None, 1.0]
    assert Axis("course", ["b", "a", "c"], choices=["a", "b", "c"]).places == [0.5, 0.0, 1.0]
    assert Axis("rank", [4, 4]).places == [0.5, 0.5]


def test_ticks_name_the_ends():
    assert Axis("rank", [4, 12]).ticks == [(0.0, "4"), (0.5, "8"), (1.0, "12")]
    assert [label for _, label in Axis("course", ["b"], choices=["a", "b"]).ticks] == ["a", "b"]
    assert Axis("rank", [4, 4]).ticks == [(0.5, "4")]


def test_every_trial_is_a_line_and_the_best_is_drawn_last():
    drawn = parallel_chart(
        [Axis("rank", [4, 8, None]), Axis("loss", [0.9, 0.8, 1.2])],
        ["good", "best", "other"],
        title="Settings <&>",
        description="Three.",
    )
    assert re.findall(r'class="trial (\w+)"', drawn) == ["other", "good", "best"]
    assert "Settings &lt;&amp;&gt;" in drawn
    points = re.findall(r'points="([^"]+)"', drawn)
    assert [len(one.split()) for one in points] == [1, 2, 2]
    assert points[2].split()[1].endswith(",272.0")  # the lowest loss lies at the bottom


def test_values_are_said_in_few_characters():
    assert [said(one) for one in (None, True, 0.00012345, ["to_q", "to_k"], "cosine")] == [
        "none",
        "true",
        "0.000123",
        "to_q, to_k",
        "cosine",
    ]
