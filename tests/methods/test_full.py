import pyarrow.parquet as pq
import pytest
import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pipeline.errors import GessoError, InputError, RecipeError
from pipeline.methods import full
from pipeline.training import checkpoints
from pipeline.training.data import MemoryExamples
from pipeline.training.job import Job
from pipeline.training.painter import Painter
from pipeline.training.settings import TrainSettings

SCHEDULER = DDPMScheduler()


def settings(**changes):
    # five examples in batches of two, two batches a step: steps end mid-epoch and hold short batches
    chosen = {
        "method": "full",
        "steps": 6,
        "batch_size": 2,
        "gradient_accumulation": 2,
        "learning_rate": 1e-3,
        "warmup_steps": 1,
        "checkpoint_every": 2,
        "ema_decay": 0.9,
        "noise_offset": 0.05,
    }
    return TrainSettings(**{**chosen, **changes})


def weights(folder, name="unet"):
    return UNet2DConditionModel.from_pretrained(folder / "weights" / name).state_dict()


@pytest.fixture
def train(tiny_unet, examples):
    def run(folder, chosen, **more):
        unet = tiny_unet()
        return unet, full.train(Painter(unet), examples, SCHEDULER, chosen, Job(folder, **more))

    return run


class Killed(Exception):  # noqa: N818 - it stands for a signal
    pass


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_a_training_killed_twice_ends_bitwise_as_an_undisturbed_one(train, tmp_path, ema_decay):
    chosen = settings(ema_decay=ema_decay)
    _, straight = train(tmp_path / "straight", chosen)

    for fatal in (4, 6):

        def kill(step, _unet, fatal=fatal):
            if step == fatal:
                raise Killed

        with pytest.raises(Killed):
            train(tmp_path / "killed", chosen, on_checkpoint=kill)
    _, resumed = train(tmp_path / "killed", chosen)

    for name in ("unet", "raw/unet") if ema_decay else ("unet",):
        wanted, found = weights(tmp_path / "straight", name), weights(tmp_path / "killed", name)
        assert all(torch.equal(wanted[key], found[key]) for key in wanted)
    assert resumed.losses == straight.losses
    assert len(resumed.losses) == resumed.steps == 6


@pytest.mark.parametrize(("name", "at"), [("state.pt", None), ("diffusion_pytorch_model.safetensors", -1)])
def test_with_its_newest_checkpoint_damaged_it_ends_bitwise_as_undisturbed(train, tmp_path, name, at):
    _, straight = train(tmp_path / "straight", settings())

    def kill(step, _unet):
        if step == 6:
            raise Killed

    with pytest.raises(Killed):
        train(tmp_path / "damaged", settings(), on_checkpoint=kill)
    newest = checkpoints.latest(tmp_path / "damaged")
    path = next(newest.folder.rglob(name))
    data = bytearray(path.read_bytes())
    if at is None:
        del data[-100:]
    else:
        data[at] ^= 1  # a weight: the file opens, and is wrong
    path.write_bytes(data)
    _, resumed = train(tmp_path / "damaged", settings())

    assert newest.step == 4
    assert newest.folder.with_name("step-0000004.damaged").is_dir()
    for name in ("unet", "raw/unet"):
        wanted, found = weights(tmp_path / "straight", name), weights(tmp_path / "damaged", name)
        assert all(torch.equal(wanted[key], found[key]) for key in wanted)
    assert resumed.losses == straight.losses


def test_a_finished_training_called_again_hands_back_the_same(train, tmp_path):
    trained, first = train(tmp_path, settings())
    asked = []
    again, second = train(tmp_path, settings(), on_checkpoint=lambda step, _: asked.append(step))
    assert asked == []
    assert second.losses == first.losses
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in trained.state_dict().items())


def test_it_learns_what_it_is_shown(tiny_unet, tmp_path):
    chosen = settings(steps=150, learning_rate=5e-3, ema_decay=0.0, caption_dropout=0.0, checkpoint_every=150)
    unet = tiny_unet()
    # a posterior without spread at 0 leaves nothing but the noise to predict
    still = torch.cat([torch.zeros(4, 4, 8, 8), torch.full((4, 4, 8, 8), -30.0)], dim=1)
    data = MemoryExamples(still, torch.zeros(4, 77, 16), torch.zeros(77, 16), scale=1.0)
    result = full.train(Painter(unet), data, SCHEDULER, chosen, Job(tmp_path))
    assert sum(result.losses[-20:]) < 0.5 * sum(result.losses[:20])


def test_the_weights_to_use_are_the_averaged_ones_and_the_raw_ones_are_kept(train, tmp_path):
    seen = {}
    unet, result = train(
        tmp_path,
        settings(),
        on_checkpoint=lambda step, one: seen.update({step: (one.training, one.unet.conv_in.weight.clone())}),
    )
    averaged, raw = weights(tmp_path, "unet"), weights(tmp_path, "raw/unet")
    assert not torch.equal(averaged["conv_in.weight"], raw["conv_in.weight"])
    assert torch.equal(unet.state_dict()["conv_in.weight"], averaged["conv_in.weight"])
    assert sorted(seen) == [2, 4, 6]
    assert not any(training for training, _ in seen.values())
    assert torch.equal(seen[6][1], averaged["conv_in.weight"])
    assert result.folder == tmp_path / "weights"


def test_only_the_newest_checkpoints_stay(train, tmp_path):
    train(tmp_path, settings(checkpoint_every=1, keep_checkpoints=2))
    assert sorted(one.name for one in (tmp_path / "checkpoints").iterdir()) == ["step-0000005", "step-0000006"]


def test_numbers_reach_parquet_and_tensorboard(train, tmp_path):
    _, result = train(tmp_path, settings())
    rows = pq.read_table(tmp_path / "metrics.parquet").to_pylist()
    losses = [row["value"] for row in rows if row["name"] == "train/loss"]
    assert tuple(losses) == result.losses
    assert {row["name"] for row in rows} == {"train/loss", "train/learning_rate", "train/grad_norm"}
    assert [row["value"] for row in rows if row["name"] == "train/learning_rate"] == [0.0] + [1e-3] * 5
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in board.Scalars("train/loss")] == [1, 2, 3, 4, 5, 6]


def test_another_training_does_not_go_on_in_the_same_folder(train, tmp_path):
    train(tmp_path, settings(), header={"base": "one"})
    with pytest.raises(InputError, match=r"train\.learning_rate.*Train into another folder"):
        train(tmp_path, settings(learning_rate=2e-3), header={"base": "one"})
    with pytest.raises(InputError, match=r"header\.base"):
        train(tmp_path, settings(), header={"base": "two"})
    train(tmp_path, settings(checkpoint_every=3), header={"base": "one"})


def test_a_loss_that_is_not_finite_names_the_samples_and_the_last_good_checkpoint(tiny_unet, examples, tmp_path):
    examples.moments[3, 0] = float("nan")
    chosen = settings(batch_size=1, gradient_accumulation=1, checkpoint_every=1)
    with pytest.raises(GessoError, match="not finite for row-3") as caught:
        full.train(Painter(tiny_unet()), examples, SCHEDULER, chosen, Job(tmp_path))
    last = checkpoints.latest(tmp_path)
    assert str(last.folder if last else "checkpoint is none") in str(caught.value)


def test_two_precisions_train_in_one_process_and_agree(train, tmp_path):
    _, exact = train(tmp_path / "no", settings(mixed_precision="no"))
    _, rough = train(tmp_path / "bf16", settings(mixed_precision="bf16"))
    assert exact.losses != rough.losses
    assert exact.losses == pytest.approx(rough.losses, rel=0.02)
    with pytest.raises(RecipeError, match=r"train\.mixed_precision"):
        train(tmp_path / "fp16", settings(mixed_precision="fp16"))


def test_gradient_checkpointing_changes_no_result(train, tmp_path):
    _, plain = train(tmp_path / "plain", settings())
    _, frugal = train(tmp_path / "frugal", settings(gradient_checkpointing=True))
    assert plain.losses == pytest.approx(frugal.losses, rel=1e-5)


def test_the_callers_random_state_is_left_alone(tiny_unet, examples, tmp_path):
    torch.manual_seed(5)
    unet = tiny_unet()
    before = torch.get_rng_state()
    full.train(Painter(unet), examples, SCHEDULER, settings(steps=1), Job(tmp_path))
    assert torch.equal(before, torch.get_rng_state())
