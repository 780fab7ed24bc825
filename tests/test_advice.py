import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import advice, families
from pipeline.advice import Concept, Line
from pipeline.errors import RecipeError
from pipeline.memory import Room
from pipeline.settings import Buckets
from pipeline.training.footprint import Footprint
from pipeline.training.settings import TrainSettings
from pipeline.trainset.buckets import place

GIB = 2**30
SMALL = Footprint(parameters=1000, weights=GIB, states=GIB, example=GIB, flops=1e9)


def fits(settings, room, **how):
    return advice.fits(SMALL, settings, room, gpu=False, **({"prior": False} | how))


def test_memory_that_is_enough_needs_no_advice():
    line = fits(TrainSettings(batch_size=4), Room(16 * GIB, 10 * GIB))
    assert line == Line("memory", "about 7.2 GiB at the peak, 10.0 GiB of 16.0 GiB free")


def test_class_pictures_count_too():
    assert "about 11.2 GiB" in fits(TrainSettings(batch_size=4), Room(16 * GIB, 16 * GIB), prior=True).said


def test_memory_that_may_not_be_enough_has_remedies_that_are_not_taken_yet():
    little = Room(16 * GIB, 5 * GIB)
    line = fits(TrainSettings(batch_size=4), little)
    assert line.advice == (
        "Batches are taken in halves where that runs out; better set train.gradient_checkpointing=true or a smaller "
        "train.batch_size with more gradient_accumulation."
    )
    line = fits(TrainSettings(batch_size=1, gradient_checkpointing=True), Room(16 * GIB, 2 * GIB))
    assert line.advice == "Set train.optimizer=adafactor."
    advice.check([line])


def test_what_cannot_fit_at_all_is_refused_and_nothing_else():
    line = fits(TrainSettings(), Room(GIB, GIB))
    with pytest.raises(RecipeError, match=r"take 2.0 GiB, and the machine has 1.0 GiB.*Take method lora"):
        advice.check([Line("time", "long"), line])
    advice.check([fits(TrainSettings(), None)])


def test_time_is_operations_by_speed():
    settings = TrainSettings(steps=100, batch_size=5, gradient_accumulation=2)
    (line,) = advice.takes(SMALL, settings, 1e10, prior=False)
    assert line == Line("time", "about 3 min for 100 steps, evaluation apart")
    (line,) = advice.takes(SMALL, settings, 1e10, prior=True)
    assert line.said.startswith("about 7 min")
    (line,) = advice.takes(SMALL, settings, 1e7, prior=False)
    assert "GPU" in line.advice
    (line,) = advice.takes(SMALL, settings, None, prior=False)
    assert "0.001 PFLOP" in line.said
    assert not list(advice.takes(SMALL, TrainSettings(epochs=1), 1e9, prior=False))


def test_float32_on_a_gpu_is_worth_a_word_and_on_a_cpu_is_not():
    (line,) = advice.precision(TrainSettings(), gpu=True)
    assert line.about == "precision"
    assert "train.mixed_precision=bf16" in line.advice
    assert not list(advice.precision(TrainSettings(), gpu=False))
    assert not list(advice.precision(TrainSettings(mixed_precision="fp16"), gpu=True))


def test_each_concept_has_its_share_of_the_steps():
    settings = TrainSettings(steps=100, batch_size=4)
    few, many = advice.concepts([Concept("dog (a)", 5, 5), Concept("cat (b)", 95, 95)], settings)
    assert few.said == "dog (a): 5 pictures, 20 steps' worth, each seen 4 times"
    assert "such as 19" in few.advice
    assert many == Line("concept", "cat (b): 95 pictures, 380 steps' worth, each seen 4 times".replace("380", "100"))
    (line,) = advice.concepts([Concept("a", 1000, 1000)], settings)
    assert "never seen" in line.advice
    (line,) = advice.concepts([Concept("a", 1, 1)], TrainSettings(steps=1000))
    assert "1 picture," in line.said
    assert "copied" in line.advice


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 20)), min_size=1, max_size=5), st.integers(1, 10_000))
def test_looks_at_all_concepts_are_those_of_the_training(found, steps):
    settings = TrainSettings(steps=steps, batch_size=3, gradient_accumulation=2)
    said = [Concept(str(place), count, count * repeats) for place, (count, repeats) in enumerate(found)]
    lines = list(advice.concepts(said, settings))
    assert len(lines) == len(said)
    for line, (_, repeats) in zip(lines, found, strict=True):
        times = 6 * steps * repeats / sum(one * more for one, more in found)
        told = float(line.said.rpartition("each seen ")[2].removesuffix(" times"))
        assert told == pytest.approx(times, rel=0.06, abs=0.5 if times >= 10 else 0)
        assert ("never seen" in line.advice) == (times < 1)


@pytest.mark.parametrize(
    ("chosen", "works", "amiss"),
    [
        ({}, "1e-04, times alpha / rank = 16 / 16, works as 0.0001", ""),
        ({"alpha": 1.0}, "works as 6.25e-06", "train.learning_rate=0.0016"),
        ({"alpha": 8.0}, "works as 5e-05", ""),
        ({"learning_rate": 1e-2}, "works as 0.01", "That is much"),
        ({"learning_rate": 1.0, "optimizer": "prodigy", "alpha": 1.0}, "works as", ""),
        ({"method": "dreambooth", "alpha": 1.0}, "works as 6.25e-06", "That is little"),
    ],
)
def test_the_rate_of_an_adapter_is_told_as_it_works(chosen, works, amiss):
    (line,) = advice.rates(TrainSettings(**chosen))
    assert works.replace("1e-04", "0.0001") in line.said
    assert amiss in line.advice
    assert bool(amiss) == bool(line.advice)


def test_a_warm_up_that_does_not_end_is_told():
    (line,) = advice.rates(TrainSettings(method="full", steps=100))
    assert "warm-up of 200 steps does not end within 100" in line.said
    assert not list(advice.rates(TrainSettings(method="full", steps=1000)))


@given(st.lists(st.tuples(st.integers(50, 4000), st.integers(50, 4000)), min_size=1, max_size=20))
def test_pictures_that_lose_a_tenth_are_named_and_no_others(sides):
    buckets = Buckets(resolution=512, step=64)
    named = {f"<{number}>": pair for number, pair in enumerate(sides)}
    line = advice.crops(list(named.items()), buckets)
    lost = {name: place(*pair, buckets).lost for name, pair in named.items()}
    over = [name for name in lost if lost[name] > 0.1]
    assert bool(line.advice) == bool(over)
    assert line.said.startswith(f"{len(over)} picture" if over else "no picture")
    told = {name for name in named if name in line.said}
    assert told <= set(over)
    assert len(told) == min(len(over), 5)


def test_captions_that_are_cut_are_named_the_longest_first():
    (line,) = advice.cut_captions([("a", 77), ("b", 80), ("c", 100)])
    assert line.said == "2 of 3 are cut at 77 tokens: c 100, b 80"
    assert line.advice
    assert list(advice.cut_captions([("a", 77)])) == [Line("captions", "none is cut; the longest has 77 of 77 tokens")]
    assert list(advice.cut_captions([])) == []


def test_two_pictures_of_one_name_are_two_pictures():
    (line,) = advice.cut_captions([("00.jpg", 100), ("00.jpg", 80), ("01.jpg", 7)])
    assert line.said == "2 of 3 are cut at 77 tokens: 00.jpg 100, 00.jpg 80"
    line = advice.crops([("00.jpg", (4000, 100)), ("00.jpg", (100, 4000))], Buckets(resolution=512, step=64))
    assert line.said.startswith("2 pictures of 2 will lose more than a tenth: 00.jpg 9")


def test_a_familys_guides_are_told_where_the_recipe_differs():
    (line,) = advice.advised(families.SDXL, TrainSettings())
    assert line.said == "guides for Stable Diffusion XL take rank 32; the recipe has rank 16"
    (line,) = advice.advised(families.SDXL, TrainSettings(rank=32, text_encoder=True))
    assert "text_encoder_lr 1e-05; the recipe has text_encoder_lr None" in line.said
    (line,) = advice.advised(families.SDXL, TrainSettings(method="dreambooth", adapts="full"))
    assert "learning_rate 1e-06; the recipe has learning_rate 5e-06" in line.said
    assert not list(advice.advised(families.SDXL, TrainSettings(rank=32)))
    assert not list(advice.advised(families.SD, TrainSettings()))


def test_another_size_than_the_models_is_told():
    (line,) = advice.trained_at(1024, Buckets(resolution=512))
    assert line.said == "pictures come at 512 px, and the base model was trained at 1024"
    assert "buckets.resolution=1024" in line.advice
    assert not list(advice.trained_at(512, Buckets(resolution=512)))


def test_a_line_is_one_line():
    assert Line("memory", "enough").words == "memory: enough"
    assert Line("memory", "little", "Buy some.").words == "memory: little. Buy some."
