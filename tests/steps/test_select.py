import pytest

from pipeline import ledger
from pipeline.manifest import read_table
from pipeline.steps.select import load_kept, save_kept


def test_every_file_is_in_one_state_with_its_reason(finished):
    rows = finished.ledger
    assert len(rows) == 14
    assert (rows["broken.png"]["state"], rows["broken.png"]["stage"]) == ("quarantined", "ingest")
    twins = {rows[name]["state"] for name in ("00.png", "twin.png")}
    assert "duplicate" in twins
    assert len(twins & {"kept", "held_out"}) == 1
    others = [row for name, row in rows.items() if name[0].isdigit() and name != "00.png"]
    assert all(row["state"] in ledger.STAYED for row in others)
    totals = ledger.totals(finished.run.rows("ledger"))
    assert finished.said["select"] == ", ".join(f"{count} {state}" for state, count in totals.items())


def test_what_goes_on_is_what_the_ledger_keeps(finished):
    kept = list(load_kept(finished.run))
    states = {row["sample_id"]: row["state"] for row in finished.run.rows("ledger") if row["state"] in ledger.STAYED}
    assert {one.sample_id: "held_out" if one.split == "held_out" else "kept" for one in kept} == states
    assert {one.split for one in kept} == {"train", "held_out"}
    assert len({one.group for one in kept}) == 12
    sidecars = {one.origins[0]["origin"].rpartition("/")[2]: one.sidecar for one in kept}
    assert sum(text is not None for text in sidecars.values()) == 8


def test_kept_pictures_come_back_as_they_were_saved(begun, finished):
    kept = list(load_kept(finished.run))
    run = begun().run
    run.save("origins", read_table(finished.run.folder / "origins.parquet"))
    save_kept(run, kept)
    assert list(load_kept(run)) == kept
    assert list(load_kept(run, name="dropped")) == []


def test_selected_again_nothing_is_compared_and_all_is_the_same(finished, further):
    made = further().go("ingest", "measure", "select")
    assert made.stats["edges"].computed == 0
    assert made.run.rows("ledger") == finished.run.rows("ledger")
    assert made.run.rows("kept") == finished.run.rows("kept")


def test_a_rule_rejects_with_value_and_limit_and_measures_nothing_anew(further):
    made = further(select={"sharpness__score": {"min": 1000.0}}).go("ingest", "measure", "select")
    assert made.stats["measure"].computed == 0
    rejected = [row for row in made.ledger.values() if row["state"] == "rejected"]
    assert len(rejected) == 13
    assert {(row["stage"], row["limit"]) for row in rejected} == {("quality", "1000")}
    measured = made.named("samples")["04.png"]["sharpness__score"]
    assert float(made.ledger["04.png"]["value"]) == pytest.approx(measured, rel=1e-3)
    assert list(load_kept(made.run)) == []


def test_a_licence_that_is_not_allowed_takes_all(further):
    made = further(rights={"allow": ["CC-BY-4.0"]}).go("ingest", "measure", "select")
    states = {row["state"] for name, row in made.ledger.items() if name != "broken.png"}
    assert states == {"rejected"}


def test_a_person_drops_a_picture_and_keeps_one_against_the_rules(begun):
    made = begun(select={"sharpness__score": {"min": 1000.0}}).go("ingest", "measure")
    made.decide("05.png", verdict="drop")
    made.decide("06.png", verdict="keep")
    made.go("select")
    assert made.ledger["05.png"]["state"] == "dropped_by_person"
    assert made.ledger["06.png"]["state"] in ledger.STAYED
    assert [one.origins[0]["origin"].rpartition("/")[2] for one in load_kept(made.run)] == ["06.png"]
    (dropped,) = load_kept(made.run, name="dropped")
    assert dropped.pixel_id == made.named("samples")["05.png"]["pixel_id"]


def test_near_duplicates_are_found_where_the_recipe_asks(further):
    made = further(dedup={"near": {"distance": 12, "colour": 255}}).go("ingest", "measure", "select")
    for name, row in made.ledger.items():
        if row["state"] == "duplicate" and name not in ("00.png", "twin.png"):
            assert row["reason"] == "looks alike"
            assert int(row["value"]) <= 12
            assert row["kept_instead"]
    ledger.check(made.run.rows("ledger"), made.run.rows("origins"))


def test_the_twin_is_an_edge(finished):
    exact = [row for row in finished.run.rows("edges") if row["kind"] != "perceptual"]
    names = {row["sample_id"]: row["origin"] for row in finished.run.rows("origins")}
    ends = {names.get(row[end], row[end]).rpartition("/")[2] for row in exact for end in "ab"}
    assert ends == {"00.png", "twin.png"}
    assert [row["distance"] for row in exact] == [0]
