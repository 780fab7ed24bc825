import json

import pytest

from flows.catalogue import plugins_of, plugins_text
from pipeline import plugins


@pytest.mark.parametrize("kind", plugins.KINDS)
def test_every_plug_in_is_listed_with_a_line_about_it(kind):
    found = plugins_of(kind)
    assert [one["name"] for one in found] == plugins.names(kind)
    assert all(one["description"] for one in found)
    assert json.loads(json.dumps(found)) == found
    assert plugins_text(found).count(": ") >= len(found)


def test_a_scorer_shows_columns_and_parameters_with_defaults():
    told = plugins_text([one for one in plugins_of("scorers") if one["name"] == "exposure"])
    lines = [line.split("  ")[1:] for line in told.splitlines()]
    assert ["columns"] in lines
    assert told.index("columns") < told.index("exposure__dark") < told.index("parameters") < told.index("black = 0.05")
    described = [line for line in told.splitlines() if line.startswith("    ")]
    assert len({len(line) - len(line.lstrip()) for line in described}) == 1


def test_parameters_alone_are_no_columns():
    (one,) = [one for one in plugins_of("captioners") if one["name"] == "blip"]
    told = plugins_text([one])
    assert "columns" not in told
    assert "    num_beams = 3" in told


def test_plug_ins_without_details_stand_close():
    assert "\n\n" not in plugins_text(plugins_of("metrics"))
