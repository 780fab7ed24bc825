import math

from pipeline.reporting import plots
from pipeline.reporting.record import StableLoss, TrainingPoint


def test_the_loss_chart_tells_its_main_figures(record):
    chart = plots.training_loss(record.training)
    assert "Loss over 300 steps: smoothed, from 0." in chart
    assert "each step" in chart


def test_the_stable_loss_names_the_lowest_checkpoint_and_shades_it(record):
    chart = plots.stable_loss(record.stable_loss)
    assert "held-out -7.5 %; training -19 %. Held-out is lowest at step 200." in chart
    assert "best held-out" in chart


def test_without_a_held_out_split_nothing_is_shaded():
    chart = plots.stable_loss([StableLoss(0, "train", 5, 1.0), StableLoss(10, "train", 5, 0.5)])
    assert "best held-out" not in chart
    assert "training -50 %" in chart


def test_there_is_a_chart_for_each_timestep_on_one_scale(record):
    charts = plots.stable_loss_by_timestep(record.stable_loss)
    assert [f"timestep {timestep}" in chart for timestep, chart in zip((100, 350, 600, 850), charts, strict=True)]
    assert all("-25 %" in chart for chart in charts)


def test_losses_that_are_no_numbers_are_no_error():
    points = [TrainingPoint(step, math.nan, math.nan) for step in range(3)]
    assert "no finite value" in plots.training_loss(points)
    assert "no finite value" in plots.learning_rate(points)
    assert "no finite value" in plots.stable_loss([StableLoss(0, "held_out", 1, math.nan)])
