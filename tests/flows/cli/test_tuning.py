def test_a_search_without_ranges_is_refused_with_what_to_add(copied, gesso):
    done = gesso("tune", "recipe.yaml", "-w", "w", "--engine", "plain")
    assert done.exit_code == 2
    assert "tune.ranges: the recipe names nothing to search" in done.stderr
    assert not (copied / "w" / "tunings").exists()


def test_the_number_of_trials_is_checked_at_once(copied, gesso):
    done = gesso("tune", "recipe.yaml", "-w", "w", "--trials", "0")
    assert done.exit_code == 2
    assert "--trials" in done.stderr
