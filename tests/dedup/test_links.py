from pipeline.dedup.links import Link, bits, gathered


def test_of_two_links_the_closest_counts_from_both_sides():
    near, far, mirrored = bits(2, 6), bits(4, 6), bits(0, 6, "looks alike, mirrored", level=1)
    for order in ([near, far, mirrored], [mirrored, far, near]):
        found = gathered(("a", "b", link) for link in order)
        assert found == {"a": {"b": near}, "b": {"a": near}}


def test_what_lies_the_same_goes_before_what_is_turned_and_that_before_what_shows_the_same():
    seen = Link(2, 0.0, "shows the same", "1", "0.95")
    assert sorted([seen, bits(0, 6, "looks alike, mirrored", level=1), bits(6, 6)])[0] == bits(6, 6)
    assert min(seen, bits(6, 6, "looks alike, mirrored", level=1)).level == 1


def test_the_ledger_gets_words():
    assert bits(3, 6)[2:] == ("looks alike", "3", "6")
