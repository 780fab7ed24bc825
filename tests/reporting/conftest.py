"""A run that never was, with everything that a report can show: pictures from the starter, planted truth."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import cv2
import numpy as np
import pytest

from pipeline.lessons import Group, Lessons, Read, Replacement, lessons
from pipeline.reporting.histograms import Spread, Variety, histogram
from pipeline.reporting.pictures import thumbnail
from pipeline.reporting.record import (
    AugmentedView,
    CaptionRow,
    Evaluation,
    Known,
    LedgerRow,
    Metric,
    Planted,
    Resemblance,
    Right,
    RunRecord,
    Sample,
    StableLoss,
    StageCost,
    TrainingPoint,
    Weights,
    funnel,
)
from pipeline.starter import pictures
from pipeline.starter.scene import Scene, Thing, scene
from pipeline.starter.wording import plain_caption

HOSTILE = (
    "<img src=x onerror=window.hacked=1>",
    "</script><script>window.hacked=1</script>",
    "</style><svg onload=window.hacked=1>",
    '" onmouseover="window.hacked=1" x="',
    "' onfocus='window.hacked=1' autofocus='",
    "{{ 7 * 7 }} {% raw %} ${alert(1)}",
    "line\u2028separator and paragraph\u2029separator",
    "right \u202eto left gpj.exe \u200f mark",
    "not utf-8: \udcff",
    "<!-- <script> ]]> &lt;b&gt; &amp;",
    "</title></textarea></pre></bdi><iframe src=javascript:window.hacked=1>",
)
STAGES = ("read", "rights", "quality", "deduplicate", "review")
SEEDS = (1, 2, 3)
STEPS = (0, 100, 200, 300)
SCENES = (
    Scene(Thing("robot", "cyan"), "big", "in the middle", "blue", "plain", "flat"),
    Scene(Thing("star", "red"), "big", "in the middle", "white", "plain", "flat"),
)
PROMPTS = ("a photo of a sks robot on a blue background", "a big red star in the middle on a white background")


def sample_id(index: int) -> str:
    return sha256(str(index).encode()).hexdigest()


def drawn(index: int, side: int = 192) -> np.ndarray:
    return pictures.picture(index, side=side).pixels


def ledger() -> list[LedgerRow]:
    rows = []
    for index in range(40):
        where, who = f"photos/toys/IMG_{4100 + index}.jpg", sample_id(index)
        row = LedgerRow(where, who, "kept", "review")
        if index % 9 == 8:
            row = replace(row, state="held_out")
        elif index in (3, 11, 19):
            score = 0.02 * index
            row = LedgerRow(where, who, "rejected", "quality", "sharpness__score", score, 0.5)
        elif index in (7, 23):
            row = LedgerRow(where, who, "rejected", "quality", "resolution__short_side", 192 - index, 256)
        elif index == 31:
            row = LedgerRow(where, who, "rejected", "quality", "exposure__clipped", 0.61, 0.25)
        elif index in (5, 6):
            row = LedgerRow(where, who, "rejected", "rights", "license", "unknown", "CC0-1.0 or CC-BY-4.0")
        elif index == 14:
            row = LedgerRow(where, who, "dropped_by_person", "review", "dropped by ann")
        rows.append(row)
    rows += [
        LedgerRow(f"photos/toys/copy of IMG_{4100 + of}.jpg", sample_id(100 + at), "duplicate", "deduplicate", kind,
                  distance, 6, sample_id(of))
        for at, (of, kind, distance) in enumerate(
            [(0, "near", 2), (0, "near", 5), (0, "exact", 0), (1, "near", 3), (9, "near", 6)]
        )
    ]  # fmt: skip
    rows += [
        LedgerRow("photos/toys/IMG_4190.jpg", "", "quarantined", "read", "truncated", "ends after 60 %", None),
        LedgerRow("photos/toys/holiday.jpg", "", "quarantined", "read", "not_a_picture", "HTML", "a picture"),
    ]
    return rows


def thumbnails() -> dict[str, bytes]:
    encoded = {sample_id(index): thumbnail(drawn(index)) for index in range(40)}
    for index in (3, 11, 19):
        encoded[sample_id(index)] = thumbnail(cv2.GaussianBlur(drawn(index), (0, 0), 9))
    encoded[sample_id(31)] = thumbnail(np.clip(drawn(31).astype(int) * 2 + 60, 0, 255).astype(np.uint8))
    for at, of in enumerate((0, 0, 0, 1, 9)):
        encoded[sample_id(100 + at)] = thumbnail(cv2.convertScaleAbs(drawn(of), alpha=1 - 0.08 * (at % 3)))
    return encoded


def captions(rows: list[LedgerRow]) -> list[CaptionRow]:
    made = []
    for index, row in enumerate(row for row in rows if row.state in ("kept", "held_out")):
        seed = int(row.origin[-6:-4])
        machine = plain_caption(scene(seed))
        reviewed = None
        flags: tuple[str, ...] = ()
        if index % 3 == 0:
            reviewed = machine.replace("big", "large").replace("a small", "a tiny")
        elif index % 7 == 1:
            flags = ("colour_disagrees",)
        final = f"photo of sks toy, {reviewed or machine}"
        who = "person:ann" if reviewed else "blip"
        split = "held_out" if row.state == "held_out" else "train"
        fit = 31.0 - len(made) if who == "blip" else None
        made.append(CaptionRow(row.sample_id, row.origin, machine, reviewed, final, who, flags, split, fit=fit))
    return made


def school() -> list[CaptionRow]:
    """Class pictures of two prompts."""
    return [
        CaptionRow(sample_id(at), f"class/{at:05d}.png", words, None, words, "sidecar", (), "prior")
        for at, words in enumerate(("a robot", "a star", "a robot"))
    ]


def planted(rows: list[LedgerRow]) -> list[Planted]:
    """The truth about some of the files: one blurred picture stayed, and one good one was taken for blurred."""
    stays = ("kept", "held_out")
    truths = [Planted(row.origin.rsplit("/", 1)[1], "good", None, stays) for row in rows if row.state in stays][:20]
    truths[1] = replace(truths[1], kind="blurred", states=("rejected",), detail="sigma 5 px")
    truths += [Planted("IMG_4103.jpg", "good", None, stays), Planted("IMG_4111.jpg", "blurred", None, ("rejected",))]
    copies = [row for row in rows if row.kept_instead == sample_id(0)]
    truths += [
        Planted(row.origin.rsplit("/", 1)[1], "copy", "IMG_4100.jpg", ("duplicate",), f"copy {at}")
        for at, row in enumerate(copies[:1])
    ]
    return [*truths, Planted("IMG_4190.jpg", "cut off", None, ("quarantined",), "ends after 60 %")]


def views() -> list[AugmentedView]:
    made = []
    for index in (0, 1, 15, 10, 17, 24):
        caption, pixels = pictures.picture(index).caption, drawn(index)
        sided = "left" in caption or "right" in caption
        flipped = pixels if sided else pixels[:, ::-1].copy()
        refused = f"flip: the caption says {'left' if 'left' in caption else 'right'}" if sided else ""
        brighter = np.clip(pixels * 1.25, 0, 255).astype(np.uint8)
        made += [
            AugmentedView(sample_id(index), 0, "as it is", caption, pixels),
            AugmentedView(sample_id(index), 1, "brightness" if sided else "flip", caption, flipped, refused),
            AugmentedView(sample_id(index), 2, "brightness + 25 %", caption, brighter),
        ]
    return made


def sampled(index: int, seed: int, step: int) -> np.ndarray:
    target = pictures.render(SCENES[index], seed=seed)
    rng = np.random.default_rng([index, seed])
    fuzzy = cv2.GaussianBlur(target, (0, 0), 0.3 + 4 * (1 - step / 300)) if step < 300 else target
    share = 0.35 * (1 - step / 300)
    return np.clip(fuzzy * (1 - share) + share * rng.integers(0, 256, target.shape), 0, 255).astype(np.uint8)


def stable_losses() -> list[StableLoss]:
    """Held-out loss is lowest at step 200, training loss falls on."""
    held_out, train = (1.0, 0.93, 0.90, 0.925), (1.0, 0.92, 0.86, 0.81)
    return [
        StableLoss(step, split, timestep, base * (1 - (1 - curve[at]) * weight))
        for timestep, base, weight in ((100, 0.42, 0.6), (350, 0.19, 1.1), (600, 0.08, 1.3), (850, 0.03, 1.0))
        for split, curve in (("held_out", held_out), ("train", train))
        for at, step in enumerate(STEPS)
    ]


def training() -> list[TrainingPoint]:
    rng = np.random.default_rng(0)
    return [
        TrainingPoint(
            step,
            float(0.08 + 0.16 * np.exp(-step / 70) + abs(rng.normal(0, 0.03))),
            1e-4 * min(step / 30, 0.5 + 0.5 * np.cos(np.pi * max(step - 30, 0) / 270)),
        )
        for step in range(1, 301)
    ]


RECIPE = """\
# <script>window.hacked=1</script>
name: toys
sources:
  - {kind: folder, path: photos/toys, rights: {license: CC-BY-4.0}, class: toy, trigger: sks}
dedup: {near: {distance: 6}, keep: best}
select:
  resolution__short_side: {min: 256}
  sharpness__score: {min: 0.5}
train: {method: lora, rank: 16, steps: 300, batch_size: 4, learning_rate: 1.0e-4}
"""


def example() -> RunRecord:
    rows = ledger()
    started = datetime(2026, 7, 1, 9, 30, tzinfo=UTC)
    return RunRecord(
        run_id="2026-07-01-0930-toys-5f2c",
        name="toys",
        started=started,
        finished=started + timedelta(minutes=14, seconds=7),
        command="gesso run datasets/toys.yaml --workspace work/toys --set train.steps=300",
        about="Forty photographs of toys, and some trouble that was put among them on purpose.",
        planted=planted(rows),
        ledger=rows,
        funnel=funnel(rows, STAGES),
        thumbnails=thumbnails(),
        histograms=[
            histogram(
                "sharpness__score",
                "sharpness, 0 to 1",
                {row.sample_id: at / 40 for at, row in enumerate(rows)},
                least=0.5,
            )
        ],
        variety=Variety(
            [Spread("lighting", {"bright": 30, "dark": 10}, 1.75)],
            [("robot", 36)],
            ["30 of 40 pictures are bright (lighting): add some that are dark."],
        ),
        captions=[*captions(rows), *school()],
        lessons=lessons(
            Read(one.machine, one.reviewed, "blip", one.flags or ("very short",) * (one.split == "held_out"))
            for one in captions(rows)
            if one.reviewed
        ),
        views=views(),
        preflight=[Known("memory", "about 2.0 GiB at the peak"), Known("cropping", "1 picture of 9", "Cut it.")],
        training=training(),
        stable_loss=stable_losses(),
        evaluations=[
            Evaluation(
                step,
                [Sample(prompt, seed, sampled(at, seed, step)) for at, prompt in enumerate(PROMPTS) for seed in SEEDS],
            )
            for step in STEPS
        ],
        metrics=[
            Metric(
                "stable_loss",
                "held-out pictures",
                0.182,
                0.168,
                -0.014,
                -0.019,
                -0.009,
                higher_is_better=False,
                note="frozen noise",
            ),
            Metric("clip_score", "2 prompts x 3 seeds", 0.243, 0.251, 0.008, -0.003, 0.019, higher_is_better=True),
            Metric(
                "diversity",
                "same prompt",
                0.41,
                0.33,
                -0.08,
                -0.12,
                -0.04,
                higher_is_better=True,
                note="distance between samples",
            ),
            Metric("class_drift", "a photo of a robot", 0.0, 0.07, 0.07, 0.03, 0.11, None, "from the base model"),
        ],
        resemblances=[
            Resemblance(sampled(1, seed, 300), PROMPTS[1], sample_id(seed), 0.62 + 0.08 * seed, 0.79)
            for seed in (1, 2, 4)
        ],
        rights=[
            Right("CC-BY-4.0", 30, allowed=True, attribution="Toy photographs by Ann Example, CC BY 4.0"),
            Right("CC0-1.0", 13, allowed=True),
            Right("unknown", 2, allowed=False),
        ],
        recipe_yaml=RECIPE,
        base_model="starter",
        method="lora",
        machine="CPU, 2 cores",
        versions={"gesso": "0.1.0", "torch": "2.14.1", "diffusers": "0.40.0", "python": "3.11.9"},
        stages=[
            StageCost("read", 0.42, 47, 0, 212.0),
            StageCost("score", 1.31, 45, 0, 240.5),
            StageCost("deduplicate", 0.09, 45, 0, 241.0),
            StageCost("caption", 21.4, 5, 26, 1480.2),
            StageCost("train", 613.0, 300, 0, 2810.0),
            StageCost("evaluate", 187.2, 24, 0, 2904.4),
        ],
        trainset_digest=sha256(b"trainset").hexdigest(),
        weights=[Weights("work/toys/runs/5f2c/checkpoints/300/adapter.safetensors", 300, sha256(b"w").hexdigest())],
    )


@pytest.fixture(scope="session")
def record() -> RunRecord:
    """A whole run."""
    return example()


@pytest.fixture(scope="session")
def hostile(record: RunRecord) -> RunRecord:
    """The same run, in which every text is an attack."""
    caption = record.captions[0]
    view, metric, sample = record.views[0], record.metrics[0], record.evaluations[0].samples[0]
    ledger_rows = [LedgerRow(text, sample_id(3), "rejected", text, text, text, text) for text in HOSTILE]
    ledger_rows += [LedgerRow(text, sample_id(4), "duplicate", text, text, 1, 2, sample_id(0)) for text in HOSTILE]
    return replace(
        record,
        run_id=HOSTILE[0],
        name=HOSTILE[1],
        command=HOSTILE[2],
        recipe_yaml="\n".join(HOSTILE),
        base_model=HOSTILE[4],
        method=HOSTILE[3],
        machine=HOSTILE[7],
        about=HOSTILE[1],
        planted=[Planted("x", text, text, ("rejected",), text) for text in HOSTILE]
        + [Planted(text.rstrip("/").rsplit("/", 1)[-1], text, text, ("kept",), text) for text in HOSTILE],
        ledger=ledger_rows,
        funnel=funnel(ledger_rows, HOSTILE),
        histograms=[histogram(text, text, {sample_id(1): 1.0}) for text in HOSTILE],
        variety=Variety([Spread(text, {text: 1}, 1.0) for text in HOSTILE], [(text, 1) for text in HOSTILE], HOSTILE),
        captions=[
            CaptionRow(caption.sample_id, text, text, f"{text} b", text, text, (text,), "train") for text in HOSTILE
        ],
        lessons=Lessons(
            all=Group("all", 1, 1, 1.0),
            by_captioner=tuple(Group(text, 1, 1, 1.0) for text in HOSTILE),
            by_flag=tuple(Group(text, 1, 1, 1.0) for text in HOSTILE),
            added=tuple((text, 1) for text in HOSTILE),
            removed=tuple((text, 1) for text in HOSTILE),
            replacements=tuple(Replacement(text, text, 1, 1) for text in HOSTILE),
        ),
        views=[replace(view, label=text, caption=text, refused=text) for text in HOSTILE],
        evaluations=[Evaluation(step, [replace(sample, prompt=text) for text in HOSTILE]) for step in (0, 10)],
        metrics=[replace(metric, name=text, of=text, note=text) for text in HOSTILE],
        resemblances=[replace(record.resemblances[0], prompt=text) for text in HOSTILE],
        rights=[Right(text, 1, allowed=False, attribution=text) for text in HOSTILE],
        preflight=[Known(text, text, text) for text in HOSTILE],
        versions={text: text for text in HOSTILE},
        stages=[StageCost(text, 1.0, 1, 0, 1.0) for text in HOSTILE],
        trainset_digest=HOSTILE[0],
        weights=[Weights(text, 1, text) for text in HOSTILE],
    )
