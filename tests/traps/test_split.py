"""Item 11 of the notes: what is held out stays out of training, goes by group, and is measured the same each time."""

import pytest
import torch
from diffusers import DDPMScheduler
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pipeline import ledger
from pipeline.duplicates import Dedup, Near
from pipeline.metrics import stable_loss
from pipeline.selection import Kept, select
from pipeline.settings import Allow, Augment, Limit, Split
from pipeline.training.objective import Objective
from pipeline.training.painter import Painter
from pipeline.trainset import build

NUMBER = 12
PICTURES = range(NUMBER)
PAIRS = st.sets(
    st.tuples(st.sampled_from(PICTURES), st.sampled_from(PICTURES)).filter(lambda pair: pair[0] < pair[1]), max_size=6
)
PLAIN = {"source": 0, "license": "CC0-1.0", "sidecar": None, "error": None}
RULES = {"sharpness__score": Limit(min=0.2)}


def choose(pairs, seed, *, present=PICTURES, blurred=(), held_out=0.4):
    """Selection of the pictures present, of which those of a pair look alike."""
    origins = [{**PLAIN, "origin": f"{one}.png", "sample_id": f"s{one}"} for one in present]
    samples = [
        {
            "sample_id": f"s{one}",
            "pixel_id": f"p{one}",
            "error": None,
            "resolution__megapixels": 1.0 + one / 100,
            "sharpness__score": 0.1 if one in blurred else 0.5,
        }
        for one in present
    ]
    edges = [(f"p{a}", f"p{b}", 3) for a, b in sorted(pairs) if {a, b} <= set(present)]
    made = select(
        origins,
        samples,
        edges,
        {},
        rights=Allow(allow=("CC0-1.0",)),
        rules=RULES,
        dedup=Dedup(near=Near(distance=6)),
        split=Split(held_out=held_out, min_groups=2, seed=seed),
    )
    ledger.check(made.ledger, origins)
    return {one.pixel_id: one.split for one in made.kept}


def groups_of(pairs):
    groups = [{one} for one in PICTURES]
    for a, b in sorted(pairs):
        one, two = (next(group for group in groups if number in group) for number in (a, b))
        if one is not two:
            groups.remove(two)
            one |= two
    return [{f"p{one}" for one in group} for group in groups]


def groups_are_on_one_side_whatever_is_rejected_or_comes_later(_tiny):
    changed = []

    @settings(max_examples=60, database=None, derandomize=True, phases=[Phase.generate])
    @given(pairs=PAIRS, seed=st.integers(0, 50), present=st.sets(st.sampled_from(PICTURES), min_size=6), data=st.data())
    def check(pairs, seed, present, data):
        now, before = choose(pairs, seed), choose(pairs, seed, present=sorted(present))
        stricter = choose(pairs, seed, blurred=data.draw(st.sets(st.sampled_from(PICTURES), max_size=3)))
        for sides in (now, before, stricter):
            for group in groups_of({pair for pair in pairs if sides is not before or set(pair) <= present}):
                assert len({sides[one] for one in group if one in sides}) <= 1
        # who was held out never comes to train; and rules move nobody
        for one in before.keys() & now.keys():
            assert before[one] == "train" or now[one] == "held_out"
        for one in stricter.keys() & now.keys():
            assert stricter[one] == now[one]
        changed.append(set(now.values()))

    check()
    assert {"train", "held_out"} in changed


def the_asked_share_is_held_out(_tiny):
    sides = [side for seed in range(200) for side in choose(set(), seed, held_out=0.25).values()]
    assert abs(sides.count("held_out") / len(sides) - 0.25) < 0.04
    assert set(choose(set(), 3, held_out=0.0).values()) == {"train"}


def held_out_pictures_have_no_further_views(_tiny):
    origin = {"origin": "x", "repeats": 1, "license": "CC0-1.0"}
    kept = [
        Kept(f"s{one}", f"p{one}", (origin,), None, one, split="held_out" if one % 2 else "train") for one in range(4)
    ]
    flips = Augment(views=3, transforms=({"HorizontalFlip": {"p": 1.0}},))
    rows = build.rows_of(kept, {one.sample_id: "a dog" for one in kept}, flips)
    assert [row["view"] for row in rows if row["split"] == "held_out"] == [0, 0]
    assert len([row for row in rows if row["split"] == "train"]) == 6
    assert not {row["sample_id"] for row in rows if row["split"] == "train"} & {"s1", "s3"}


def a_pictures_loss_is_the_same_at_any_place_and_time(tiny):
    """Per timestep, on the same noise, whoever else is measured and whatever was drawn before."""
    examples, unet, scheduler = tiny.examples(), tiny.unet().train(), DDPMScheduler()
    whole = stable_loss.measure(Painter(unet), examples, scheduler)
    assert [(one.row, one.timestep) for one in whole] == [(row, t) for row in range(7) for t in stable_loss.TIMESTEPS]
    torch.manual_seed(99)
    torch.rand(3)
    some = stable_loss.measure(Painter(unet), examples, scheduler, rows=[5, 2], timesteps=[500])
    wanted = {(one.row, one.timestep): one.loss for one in whole}
    for one in some:
        assert one.loss == pytest.approx(wanted[one.row, one.timestep], rel=1e-4)
    assert len({round(one.loss, 9) for one in whole}) == len(whole)
    assert unet.training
    # the unweighted error of the posterior's mean
    batch, objective = examples.batch([3]), Objective.of(scheduler)
    latents = (batch.moments.chunk(2, dim=1)[0] - examples.shift) * examples.scale
    assert torch.allclose(stable_loss.sample_latents(batch.moments, scale=0.5, shift=0.1, draws=None), latents)
    assert float(objective.weights(torch.tensor([10]))) == 1.0


SPLIT, LOSSES = "pipeline.selection:_split", "pipeline.metrics.stable_loss:_losses"
FRACTION = 'f"{split.seed}/{one}"'
TRAPS = {
    groups_are_on_one_side_whatever_is_rejected_or_comes_later: {
        "each picture for itself": (
            SPLIT,
            "one.group in chosen",
            '_fraction(f"{split.seed}/{one.pixel_id}") < split.held_out',
        ),
        "by the number of the group": (SPLIT, FRACTION, 'f"{split.seed}/{group}"'),
        "by the members kept": (SPLIT, "in groups.items()", "in {each.pixel_id: each.group for each in kept}.items()"),
        "by the place in the set": (SPLIT, FRACTION, 'f"{split.seed}/{list(groups).index(one)}"'),
        "edges of groups forgotten": (
            "pipeline.dedup.groups:components",
            "for b in others",
            "for b in list(others)[1:]",
        ),
    },
    the_asked_share_is_held_out: {
        "the other share": (SPLIT, "< split.held_out", ">= split.held_out"),
        "the seed plays no part": (SPLIT, FRACTION, "one"),
        "one more than none": (SPLIT, "if one.group in chosen", "if one.group in {0, *chosen}"),
    },
    held_out_pictures_have_no_further_views: {
        "views for all": (
            "pipeline.trainset.build:rows_of",
            'one.split == "train" and (allowed or keep is not None)',
            "allowed",
        ),
        "all in training": ("pipeline.trainset.build:rows_of", '"split": one.split', '"split": "train"'),
    },
    a_pictures_loss_is_the_same_at_any_place_and_time: {
        "noise from the global stream": (LOSSES, "generator=generator(seed, one, timestep)", "generator=None"),
        "noise by the batch's place": (LOSSES, "for one in numbers", "for one in range(len(numbers))"),
        "a sample for the mean": (LOSSES, "draws=None", "draws=generator(seed, *rows)"),
        "the model is left evaluating": ("pipeline.metrics.stable_loss:measure", "painter.train(training)", "pass"),
    },
}


def test_it_holds(check, tiny):
    check(tiny)


def test_a_planted_bug_is_found(check, bug, tiny, plant):
    with plant(*bug), pytest.raises(AssertionError):
        check(tiny)
