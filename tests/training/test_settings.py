import pytest
from pydantic import ValidationError

from pipeline.training.settings import DEFAULTS, TrainSettings


def test_what_is_left_out_follows_the_method():
    assert TrainSettings().learning_rate == 1e-4
    assert TrainSettings(method="full").learning_rate == 3e-6
    assert TrainSettings(method="full", learning_rate=0.5).learning_rate == 0.5
    assert TrainSettings(method="something_later").learning_rate == 1e-4


@pytest.mark.parametrize("method", DEFAULTS)
def test_what_is_written_out_reads_back_the_same(method):
    name, _, adapts = method.partition(", ")
    settings = TrainSettings(method=name, alpha=3, **({"adapts": adapts} if adapts else {}))
    assert settings.learning_rate == DEFAULTS[method]["learning_rate"]
    assert TrainSettings(**settings.model_dump(mode="json")) == settings
    assert TrainSettings.model_validate(settings) == settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"learningrate": 1},
        {"steps": 0},
        {"learning_rate": 0},
        {"ema_decay": 1.0},
        {"caption_dropout": 1.5},
        {"min_snr_gamma": 0},
        {"optimizer": "lion"},
        {"mixed_precision": "fp8"},
        {"target_modules": []},
        {"method": "../evil"},
        {"seed": -1},
    ],
)
def test_what_is_wrong_is_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        TrainSettings(**wrong)


def test_a_training_is_told_in_steps_or_in_epochs():
    assert TrainSettings(epochs=3).steps == 0
    assert TrainSettings(method="dreambooth", epochs=3).steps == 0
    assert TrainSettings(method="dreambooth", steps=None).steps == 500
    assert TrainSettings(epochs=None).steps == 1500
    again = TrainSettings(epochs=3, steps=None)
    assert TrainSettings(**again.model_dump(mode="json")) == again
    for wrong in ({"steps": 5, "epochs": 3}, {"steps": 0}, {"steps": 0, "epochs": None}, {"epochs": 0}):
        with pytest.raises(ValidationError, match="epochs"):
            TrainSettings(**wrong)


def test_every_field_is_described_and_none_can_be_changed():
    assert all(len(one.description) > 10 for one in TrainSettings.model_fields.values())
    with pytest.raises(ValidationError, match="frozen"):
        TrainSettings().steps = 3
