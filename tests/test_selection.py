import math
from collections import Counter
from itertools import combinations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline import ledger
from pipeline.duplicates import Dedup, Near
from pipeline.errors import RecipeError
from pipeline.manifest import by
from pipeline.selection import select
from pipeline.settings import Allow, Limit, Split

PIXELS = [f"p{number}" for number in range(10)]
RULES = {"sharpness__score": Limit(min=0.2), "resolution__short_side": Limit(min=100, max=1000)}


def origin(name, sample_id, **more):
    defaults = {"license": "CC0-1.0", "sidecar": None, "error": None, "class": None, "trigger": None, "repeats": 1}
    return {"origin": name, "sample_id": sample_id, "source": 0, **defaults, **more}


def sample(sample_id, pixel_id, **more):
    values = {"resolution__megapixels": 1.0, "resolution__short_side": 500, "sharpness__score": 0.5}
    return {"sample_id": sample_id, "pixel_id": pixel_id, "error": None, **values, **more}


def choose(origins, samples, edges=(), verdicts=None, **settings):
    defaults = {
        "rights": Allow(allow=("CC0-1.0",)),
        "rules": RULES,
        "dedup": Dedup(near=Near(distance=6)),
        "split": Split(held_out=0.0),
    }
    made = select(origins, samples, edges, verdicts or {}, **{**defaults, **settings})
    ledger.check(made.ledger, origins)
    return made


def simple(count, **changes):
    """Pictures a, b, c ... each with one origin; `changes` by its letter."""
    letters = "abcdefghij"[:count]
    origins = [origin(f"{one}.png", one) for one in letters]
    return origins, [sample(one, f"p{one}", **changes.get(one, {})) for one in letters]


def states(made):
    return {row["origin"]: row["state"] for row in made.ledger}


def row_of(made, name):
    return next(row for row in made.ledger if row["origin"] == name)


@st.composite
def piles(draw):
    """Anything that could come: unreadable files, bad pictures, twins by bytes and by pixels, values missing or NaN."""
    samples = []
    for number in range(draw(st.integers(0, 12))):
        if draw(st.booleans()) or draw(st.booleans()):
            pixel_id = draw(st.sampled_from(PIXELS))
            value = st.sampled_from([0.0, 0.1, 0.2, 0.5, 1.0, math.nan, None])
            side = draw(st.sampled_from([50, 100, 500, 1000, 2000]))
            made = sample(f"s{number}", pixel_id, sharpness__score=draw(value), resolution__short_side=side)
            samples.append({**made, "resolution__megapixels": draw(value)})
        else:
            empty = dict.fromkeys(sample("", ""))
            samples.append({**empty, "sample_id": f"s{number}", "error": "truncated: at byte 7"})
    ids = [row["sample_id"] for row in samples]
    origins = [
        origin(
            f"o{number}",
            draw(st.sampled_from(ids)) if ids and draw(st.integers(0, 5)) else None,
            license=draw(st.sampled_from([None, "CC0-1.0", "CC0-1.0", "CC0-1.0", "evil"])),
            sidecar=draw(st.sampled_from([None, "a dog", "a cat"])),
        )
        for number in range(draw(st.integers(0, 15)))
    ]
    for row in origins:
        row["error"] = None if row["sample_id"] else "unreadable: no permission"
    pairs = draw(st.lists(st.sampled_from(list(combinations(PIXELS, 2))), unique=True, max_size=15))
    edges = [(a, b, draw(st.integers(0, 12))) for a, b in pairs]
    verdicts = draw(st.dictionaries(st.sampled_from(PIXELS), st.sampled_from(["keep", "drop"]), max_size=4))
    settings = {
        "rights": Allow(allow=("CC0-1.0",), unknown=draw(st.sampled_from(["reject", "accept"]))),
        "rules": RULES,
        "dedup": Dedup(near=draw(st.sampled_from([None, Near(distance=0), Near(distance=6)]))),
        "split": Split(held_out=0.4, min_groups=2, seed=draw(st.integers(0, 20))),
    }
    return origins, samples, edges, verdicts, settings


def within(edges, settings):
    near = settings["dedup"].near
    return {frozenset((a, b)): d for a, b, d in edges if near and d <= near.distance}


@given(piles())
def test_every_origin_is_in_one_state_and_the_totals_add_up_at_every_stage(pile):
    origins, samples, edges, verdicts, settings = pile
    made = choose(origins, samples, edges, verdicts, **settings)
    assert Counter(row["origin"] for row in made.ledger) == Counter(row["origin"] for row in origins)
    assert sum(ledger.totals(made.ledger).values()) == len(origins)
    remaining = len(origins)
    for stage, came, left in ledger.funnel(made.ledger):
        assert came == remaining, stage
        remaining -= sum(left.values())
    assert remaining == len(made.kept) == sum(state in ("kept", "held_out") for state in states(made).values())


@given(piles())
def test_what_is_kept_may_be_kept(pile):
    origins, samples, edges, verdicts, settings = pile
    made = choose(origins, samples, edges, verdicts, **settings)
    for one in made.kept:
        assert verdicts.get(one.pixel_id) != "drop"
        for place in one.origins:
            assert place["license"] == "CC0-1.0" or (
                place["license"] is None and settings["rights"].unknown == "accept"
            )
            assert place["error"] is None
        if verdicts.get(one.pixel_id) != "keep":
            measured = by(samples, "sample_id")[one.sample_id]
            assert measured["sharpness__score"] >= 0.2
            assert 100 <= measured["resolution__short_side"] <= 1000
    close = within(edges, settings)
    for a, b in combinations(made.kept, 2):
        assert a.pixel_id != b.pixel_id
        if frozenset((a.pixel_id, b.pixel_id)) in close:
            assert verdicts.get(a.pixel_id) == verdicts.get(b.pixel_id) == "keep"


@given(piles())
def test_a_duplicate_is_close_to_the_one_kept_instead_and_stays_attached_to_it(pile):
    origins, samples, edges, verdicts, settings = pile
    made = choose(origins, samples, edges, verdicts, **settings)
    pixels = {row["sample_id"]: row["pixel_id"] for row in samples}
    kept = {one.sample_id: one for one in made.kept}
    close = within(edges, settings)
    for row in made.ledger:
        if row["state"] != "duplicate":
            assert row["kept_instead"] is None
            continue
        instead = kept[row["kept_instead"]]
        if row["reason"] == "same bytes":
            assert row["sample_id"] == instead.sample_id
        elif row["reason"] == "same pixels":
            assert pixels[row["sample_id"]] == instead.pixel_id
        else:
            distance = close[frozenset((pixels[row["sample_id"]], instead.pixel_id))]
            assert (row["value"], row["limit"]) == (str(distance), str(settings["dedup"].near.distance))
        assert row["origin"] in {place["origin"] for place in instead.origins}
    attached = Counter(place["origin"] for one in made.kept for place in one.origins)
    eligible = {row["origin"] for row in made.ledger if row["state"] in ("kept", "held_out", "duplicate")}
    assert attached == Counter(eligible)
    for one in made.kept:
        captions = [place["sidecar"] for place in one.origins if place["sidecar"]]
        assert one.sidecar == (captions[0] if captions else None)
        assert one.origins[0]["sample_id"] == one.sample_id


def groups(samples, edges, settings):
    """Sets of pixel ids linked by whatever many, found the slow way."""
    found = [{row["pixel_id"]} for row in samples if row["pixel_id"]]
    here = set().union(*found)
    found += [set(pair) for pair in within(edges, settings) if pair <= here]
    merged = True
    while merged:
        merged = False
        for a, b in combinations(found, 2):
            if a & b:
                found.remove(b)
                a |= b
                merged = True
                break
    return found


@given(piles())
def test_what_looks_alike_is_on_one_side(pile):
    origins, samples, edges, verdicts, settings = pile
    made = choose(origins, samples, edges, verdicts, **settings)
    side = {one.pixel_id: one.split for one in made.kept}
    for group in groups(samples, edges, settings):
        assert len({side[one] for one in group if one in side}) <= 1


pairs_of_ten = st.lists(st.sampled_from(list(combinations(PIXELS, 2))), unique=True, max_size=8)


@given(
    pairs=pairs_of_ten, first=st.sets(st.sampled_from(range(10)), min_size=2), seed=st.integers(0, 50), data=st.data()
)
def test_more_pictures_never_move_one_from_held_out_to_train(pairs, first, seed, data):
    edges = [(a, b, data.draw(st.integers(0, 8))) for a, b in pairs]
    settings = {"dedup": Dedup(near=Near(distance=6)), "split": Split(held_out=0.4, min_groups=2, seed=seed)}
    origins, samples = many(10)
    for row in samples:
        row["resolution__megapixels"] = data.draw(st.sampled_from([1.0, 2.0]))
        row["sharpness__score"] = data.draw(st.sampled_from([0.1, 0.5]))
    part = [[rows[number] for number in sorted(first)] for rows in (origins, samples)]
    before = choose(*part, edges, **settings)
    after = choose(origins, samples, edges, **settings)
    # joined groups can be too few to hold any out
    assume(len({one.group for one in after.kept}) >= settings["split"].min_groups)
    held_out = {one.pixel_id for one in before.kept if one.split == "held_out"}
    for group in groups(samples, edges, settings):
        if group & held_out:
            assert {one.split for one in after.kept if one.pixel_id in group} <= {"held_out"}


@given(piles(), st.randoms())
def test_the_order_of_rows_plays_no_part(pile, random):
    origins, samples, edges, verdicts, settings = pile
    made = choose(origins, samples, edges, verdicts, **settings)
    edges = [(b, a, d) if random.random() < 0.5 else (a, b, d) for a, b, d in edges]
    for rows in (origins, samples, edges):
        random.shuffle(rows)
    again = choose(origins, samples, edges, verdicts, **settings)
    assert repr(again) == repr(made)  # repr, since NaN is not itself


def test_the_best_of_a_group_is_kept_by_resolution_then_sharpness_then_caption():
    edges = [("pa", "pb", 3), ("pa", "pc", 3), ("pb", "pc", 3)]
    origins, samples = simple(3, c={"resolution__megapixels": 2.0, "sharpness__score": 0.3})
    assert states(choose(origins, samples, edges)) == {"a.png": "duplicate", "b.png": "duplicate", "c.png": "kept"}
    origins, samples = simple(3, b={"sharpness__score": 0.6})
    assert states(choose(origins, samples, edges))["b.png"] == "kept"
    origins, samples = simple(3)
    origins[2]["sidecar"] = "a cat"
    assert states(choose(origins, samples, edges))["c.png"] == "kept"
    assert states(choose(*simple(3), edges))["a.png"] == "kept"


def test_only_the_eligible_compete():
    origins, samples = simple(2, a={"resolution__megapixels": 9.0, "sharpness__score": 0.0})
    made = choose(origins, samples, [("pa", "pb", 0)])
    assert states(made) == {"a.png": "rejected", "b.png": "kept"}


def test_captions_and_eligible_origins_of_the_others_stay_attached():
    origins, samples = simple(2, a={"resolution__megapixels": 2.0})
    origins += [origin("twin.png", "a"), origin("stolen.png", "b", license="evil")]
    origins[1]["sidecar"] = "a cat"
    (one,) = choose(origins, samples, [("pa", "pb", 2)]).kept
    assert [place["origin"] for place in one.origins] == ["a.png", "twin.png", "b.png"]
    assert one.sidecar == "a cat"


def test_a_chain_does_not_take_its_far_end_along():
    """A~B~C with the best in the middle takes both; with the best at an end, the other end is far enough to stay."""
    edges = [("pa", "pb", 5), ("pb", "pc", 5)]
    middle = choose(*simple(3, b={"resolution__megapixels": 2.0}), edges)
    assert states(middle) == {"a.png": "duplicate", "b.png": "kept", "c.png": "duplicate"}
    end = choose(*simple(3), edges)
    assert states(end) == {"a.png": "kept", "b.png": "duplicate", "c.png": "kept"}
    assert len({one.group for one in end.kept}) == 1


def test_the_distance_is_a_limit_and_null_looks_for_exact_ones():
    edges = [("pa", "pb", 7)]
    assert states(choose(*simple(2), edges))["b.png"] == "kept"
    assert states(choose(*simple(2), edges, dedup=Dedup(near=Near(distance=7))))["b.png"] == "duplicate"
    assert states(choose(*simple(2), [("pa", "pb", 0)], dedup=Dedup(near=None)))["b.png"] == "kept"


def test_rights_are_closed_on_unknown():
    origins, samples = simple(3)
    origins[0]["license"], origins[1]["license"] = None, "CC-BY-NC-4.0"
    made = choose(origins, samples)
    assert states(made) == {"a.png": "rejected", "b.png": "rejected", "c.png": "kept"}
    assert row_of(made, "a.png")["reason"] == "licence unknown"
    assert (row_of(made, "b.png")["value"], row_of(made, "b.png")["limit"]) == ("CC-BY-NC-4.0", "CC0-1.0")
    accepted = choose(origins, samples, rights=Allow(allow=("CC0-1.0",), unknown="accept"))
    assert states(accepted) == {"a.png": "kept", "b.png": "rejected", "c.png": "kept"}


def test_a_content_with_an_allowed_and_a_refused_origin_stays_with_the_allowed_one():
    made = choose([origin("evil.png", "a", license="evil"), origin("good.png", "a")], [sample("a", "pa")])
    assert states(made) == {"evil.png": "rejected", "good.png": "kept"}
    assert [place["origin"] for place in made.kept[0].origins] == ["good.png"]


def test_a_person_keeps_against_rules_and_dedup_but_not_against_rights():
    blurred = {"sharpness__score": 0.0}
    origins, samples = simple(3, b=blurred, c=blurred)
    origins[2]["license"] = "evil"
    made = choose(origins, samples, [("pa", "pb", 1)], {"pb": "keep", "pc": "keep"})
    assert states(made) == {"a.png": "duplicate", "b.png": "kept", "c.png": "rejected"}
    assert row_of(made, "c.png")["stage"] == "rights"
    both = choose(*simple(2), [("pa", "pb", 1)], {"pa": "keep", "pb": "keep"})
    assert states(both) == {"a.png": "kept", "b.png": "kept"}


def test_a_person_drops_and_the_next_best_takes_its_place():
    origins, samples = simple(2)
    origins.append(origin("again.png", "a", sidecar="a cat"))
    made = choose(origins, samples, [("pa", "pb", 1)], {"pa": "drop"})
    assert states(made) == {"a.png": "dropped_by_person", "again.png": "dropped_by_person", "b.png": "kept"}
    (dropped,) = made.dropped
    assert [place["origin"] for place in dropped.origins] == ["a.png", "again.png"]
    assert dropped.sidecar == "a cat"


def test_a_rule_names_its_value_and_limit_and_includes_it():
    origins, samples = simple(3, a={"sharpness__score": 0.123456}, b={"resolution__short_side": 1001})
    samples[2]["sharpness__score"] = 0.2
    made = choose(origins, samples)
    told = {row["origin"]: (row["stage"], row["reason"], row["value"], row["limit"]) for row in made.ledger}
    assert told["a.png"] == ("quality", "sharpness__score too low", "0.1235", "0.2")
    assert told["b.png"] == ("quality", "resolution__short_side too high", "1001", "1000")
    assert states(made)["c.png"] == "kept"


@pytest.mark.parametrize("value", [None, math.nan])
def test_what_was_not_measured_passes_no_rule(value):
    made = choose(*simple(1, a={"sharpness__score": value}))
    assert row_of(made, "a.png")["reason"] == "sharpness__score not measured"


@pytest.mark.parametrize(("column", "value"), [("canonical__format", "PNG"), ("turned__hashes", [1, 2])])
def test_a_rule_about_what_is_no_number_is_the_recipes_mistake(column, value):
    with pytest.raises(RecipeError, match=rf"select\.{column}.*numbers"):
        choose(*simple(1, a={column: value}), rules={column: Limit(min=1)})


def test_bad_files_are_quarantined_with_what_was_found():
    origins = [origin("a.png", None, error="unreadable: no permission", license=None), origin("b.png", "b")]
    made = choose(origins, [{**dict.fromkeys(sample("", "")), "sample_id": "b", "error": "truncated: at: byte 7"}])
    told = {row["origin"]: (row["state"], row["stage"], row["reason"], row["value"]) for row in made.ledger}
    assert told == {
        "a.png": ("quarantined", "ingest", "unreadable", "no permission"),
        "b.png": ("quarantined", "ingest", "truncated", "at: byte 7"),
    }


def many(count):
    origins = [origin(f"{number:03}.png", f"s{number}") for number in range(count)]
    return origins, [sample(f"s{number}", f"p{number}") for number in range(count)]


def test_the_share_held_out_is_about_right_and_the_seed_chooses():
    held_out = [
        {
            one.pixel_id
            for one in choose(*many(1000), split=Split(held_out=0.2, seed=seed)).kept
            if one.split == "held_out"
        }
        for seed in (1, 2)
    ]
    assert all(150 < len(one) < 250 for one in held_out)
    assert held_out[0] != held_out[1]


def test_below_the_least_number_of_groups_none_is_held_out():
    split = Split(held_out=0.5, min_groups=20)
    assert {one.split for one in choose(*many(19), split=split).kept} == {"train"}
    assert {one.split for one in choose(*many(20), split=split).kept} == {"train", "held_out"}


def test_a_better_copy_of_a_held_out_picture_is_held_out():
    split = Split(held_out=0.3, min_groups=2)
    origins, samples = many(30)
    held_out = next(one for one in choose(origins, samples, split=split).kept if one.split == "held_out")
    copies = [sample(f"copy{number}", f"copy{number}", resolution__megapixels=9.0) for number in range(30)]
    for copy in copies:  # whatever the copy's own hash says
        edges = [(copy["pixel_id"], held_out.pixel_id, 2)]
        made = choose([*origins, origin("copy.png", copy["sample_id"])], [*samples, copy], edges, split=split)
        assert {row["state"] for row in made.ledger if row["origin"] == "copy.png"} == {"held_out"}


def test_nothing_came_in():
    made = choose([], [])
    assert (made.ledger, made.kept, made.dropped) == ([], [], [])


def test_who_objects_to_training_is_left_alone_and_says_where():
    told = {"ai_optout": True, "optout_source": "XMP"}
    origins = [{**ORIGIN, "origin": "a", "sample_id": "a", **told}, {**ORIGIN, "origin": "b", "sample_id": "b"}]
    made = chosen(origins)
    rows = {row["origin"]: row for row in made.ledger}
    assert (rows["a"]["state"], rows["a"]["stage"], rows["a"]["value"]) == ("rejected", "rights", "XMP")
    assert rows["b"]["state"] == "kept"


def test_a_split_that_was_decided_before_stays_for_the_whole_group():
    splits = {"a": "held_out", "b": None, "c": "train", "d": "prior"}
    origins = [{**ORIGIN, "origin": one, "sample_id": one, "split": split} for one, split in splits.items()]
    made = chosen(origins, [("pa", "pb", 9)])
    assert {one.sample_id: one.split for one in made.kept} == {
        "a": "held_out",
        "b": "train",
        "c": "train",
        "d": "prior",
    }
    # too far for a duplicate, near enough to be of one group
    made = chosen(origins, [("pa", "pb", 3), ("pb", "pc", 3)], keep={"pa": "keep", "pb": "keep", "pc": "keep"})
    assert {one.sample_id: one.split for one in made.kept} == {
        "a": "held_out",
        "b": "held_out",
        "c": "held_out",
        "d": "prior",
    }


ORIGIN = {"source": 0, "license": "CC0-1.0", "sidecar": None, "error": None, "class": None, "trigger": None}


def chosen(origins, edges=(), keep=None):
    """The selection of four plain pictures."""
    samples = [
        {
            "sample_id": row["sample_id"],
            "pixel_id": f"p{row['sample_id']}",
            "error": None,
            "resolution__megapixels": 1.0,
            "sharpness__score": 1.0,
        }
        for row in origins
    ]
    return select(
        origins,
        samples,
        edges,
        keep or {},
        rights=Allow(allow=("CC0-1.0",)),
        rules={},
        dedup=Dedup(),
        split=Split(held_out=0.0, min_groups=2),
    )


@given(piles(), st.randoms(), st.data())
def test_groups_do_not_chain_and_hang_on_no_order_and_pairs_kept_apart_are(pile, random, data):
    origins, samples = pile[:2]
    names = sorted({row["pixel_id"] for row in samples if row.get("pixel_id")})
    told = {pair: data.draw(st.integers(0, 12)) for pair in combinations(names, 2)}
    edges = [(*pair, bits) for pair, bits in told.items()]
    apart = [frozenset(pair) for pair in told if random.random() < 0.2]
    first = choose(origins, samples, edges, apart=apart)
    pixels = {row["sample_id"]: row["pixel_id"] for row in samples}
    for row in first.ledger:
        if row["reason"] == "looks alike":
            pair = tuple(sorted((pixels[row["sample_id"]], pixels[row["kept_instead"]])))
            assert told[pair] == int(row["value"]) <= 6
            assert frozenset(pair) not in apart
    for rows in (origins, samples, edges, apart):
        random.shuffle(rows)
    again = choose(origins, samples, edges, apart=apart)
    assert again.ledger == first.ledger
    assert {one.sample_id for one in again.kept} == {one.sample_id for one in first.kept}


def test_look_alikes_that_a_person_keeps_apart_both_stay_on_one_side_of_the_split():
    origins, samples = simple(2)
    split = Split(held_out=0.5, min_groups=2)
    made = choose(origins, samples, [("pa", "pb", 3)], apart=[frozenset(("pa", "pb"))], split=split)
    assert len({one.group for one in made.kept}) == 1
    assert len(made.kept) == 2
    assert {row["value"] for row in made.ledger} == {"3"}
    alone = choose(origins, samples, [("pa", "pb", 3)], {"pb": "drop"}, apart=[frozenset(("pa", "pb"))])
    assert row_of(alone, "a.png")["reason"] is None


def test_the_order_in_which_the_best_is_sought_is_the_recipes():
    origins, samples = simple(2, a={"sharpness__score": 0.9}, b={"resolution__megapixels": 9.0})
    edges = [("pa", "pb", 1)]
    assert states(choose(origins, samples, edges)) == {"a.png": "duplicate", "b.png": "kept"}
    for keep, kept in [(("sharpness__score",), "a.png"), (("-sharpness__score",), "b.png")]:
        made = choose(origins, samples, edges, dedup=Dedup(keep=keep))
        assert row_of(made, kept)["state"] == "kept"
        assert len(made.kept) == 1
