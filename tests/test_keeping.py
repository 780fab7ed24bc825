from pipeline import keeping, models


def test_what_is_kept_is_loaded_once_until_it_is_let_go_of():
    loaded = []

    @keeping.kept(2)
    def load(name, *, device="cpu"):
        """Its words."""
        loaded.append((name, device))
        return object()

    first = load("a")
    assert load("a") is first
    assert load("a", device="cuda") is not first
    assert load("a") is first
    models.release()
    assert load("a") is not first
    assert loaded == [("a", "cpu"), ("a", "cuda"), ("a", "cpu")]
    assert load.__doc__ == "Its words."


def test_the_least_used_goes_first():
    loaded = []
    load = keeping.kept(1)(loaded.append)
    for name in "aba":
        load(name)
    assert loaded == ["a", "b", "a"]
