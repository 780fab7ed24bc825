import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import GessoError, ModelError, PictureError
from pipeline.lavis.feed import GIVE_UP, feed

HOW = {"prompt": "seen"}


def said(worker, pictures, *, batch_size=3, seconds=60.0, model=None, say=None):
    heard = []
    model = model or {"folder": "x"}
    found = feed(worker, model, pictures, HOW, batch_size=batch_size, seconds=seconds, say=say or heard.append)
    return [f"{one.reason}!" if isinstance(one, PictureError) else " | ".join(one) for one in found], heard


def test_each_picture_gets_its_caption_from_one_process_and_nothing_is_left(worker, pictures):
    found, heard = said(worker, pictures(*range(10)))
    assert found == [f"seen {value}" for value in range(10)]
    assert (worker.started, heard) == (1, [])
    assert not list(worker.folder.glob("*.npy"))
    assert said(worker, [])[0] == []


def test_a_crash_in_the_middle_costs_nothing(worker, pictures):
    found, heard = said(worker, pictures(1, 2, 3, 4, 201, 6, 7))
    assert found == [f"seen {value}" for value in (1, 2, 3, 4, 201, 6, 7)]
    assert worker.started == 2
    (told,) = heard
    assert "killed by SIGKILL" in told
    assert "trying its 3 pictures one by one" in told


def test_one_that_hangs_the_worker_is_tried_twice_and_told_of(worker, pictures):
    found, heard = said(worker, pictures(1, 210, 3), batch_size=1, seconds=2.0)
    assert found == ["seen 1", "timeout!", "seen 3"]
    assert [told.startswith("LAVIS: no answer within 2 s") for told in heard] == [True]
    assert worker.started == 3


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from([1, 2, 3, 4, 5, 6, 200, 220]), max_size=8).filter(lambda values: values.count(200) < 3),
    st.integers(1, 5),
)
def test_a_picture_costs_its_neighbours_nothing(worker, pictures, values, batch_size):
    # a good one in between, so that it is never given up
    values = [one for value in values for one in (value, 7)]
    outcome = {200: "crashed!", 220: "captioner!"}
    found, _ = said(worker, pictures(*values), batch_size=max(2, batch_size))
    assert found == [outcome.get(value, f"seen {value}") for value in values]


def test_where_nothing_comes_of_several_batches_it_is_given_up_with_the_reason(worker, pictures):
    with pytest.raises(GessoError, match=r"nothing of 3 batches in a row.*a bad one"):
        said(worker, pictures(*[1] * 4, *[220] * (GIVE_UP + 1)), batch_size=1)
    few, _ = said(worker, pictures(*[220] * (GIVE_UP - 1), 1), batch_size=1)
    assert few == ["captioner!"] * (GIVE_UP - 1) + ["seen 1"]


def test_a_model_that_cannot_be_loaded_is_the_recipes_fault(worker, pictures):
    model = {"model": "blip_caption", "model_type": "base_coco", "refuses": True}
    with pytest.raises(ModelError, match="no such model") as caught:
        said(worker, pictures(1), model=model)
    assert (caught.value.field, caught.value.value) == ("caption.model", "blip_caption base_coco")


def test_a_worker_that_dies_while_it_loads_is_tried_twice(worker, pictures):
    with pytest.raises(GessoError, match=r"twice.*ended with 7.*out of breath"):
        said(worker, pictures(1), model={"folder": "x", "dies": True})
    assert worker.started == 2
