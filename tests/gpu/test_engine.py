"""Training by replays of a CUDA graph on the device: the bits of eager steps, counted replays, and nobody waits."""

import math

import pytest
import torch

import botan_fast as bf
from botan_fast.training import captured, engine
from botan_fast.training.batches import RING, PackedBatches
from botan_fast.training.device_queue import DeviceQueue, Mark
from botan_fast.training.steps import TrainingError
from tests.helpers.runs import FAST, Stop, assert_same_files, assert_same_run
from tests.helpers.structured import INPUTS, several, structured

EPOCHS = 3
NOISY = INPUTS | {"augmentation": "o3", "input_noise": 0.2, "learning_rate": 1e-2}
TEST = structured(99)


@pytest.fixture(scope="module")
def samples():
    return several((1, 2, 3, 4, 5, 6))


def train(samples, **options):
    return bf.train(samples, TEST, **{**FAST, "epochs": EPOCHS, "device": "cuda", **options})


@pytest.fixture
def both(monkeypatch):
    """both(samples, **options): the eager run and the captured one."""

    def run(samples, **options):
        results = []
        for value in ("0", "1"):
            monkeypatch.setenv(engine.VARIABLE, value)
            results.append(train(samples, **options))
        return results

    return run


@pytest.mark.parametrize(
    ("options", "batches"),
    [
        ({}, 6),
        ({"augmentation": "o3", "schedule": "cosine", "ema": 0.8, "weight_decay": 0.05}, 6),
        ({"augmentation": "none", "precision": "bf16", "hidden_size": 64}, 6),
        ({"precision": "tf32", "hidden_size": 128}, 6),
        ({"p": 0.0, "save_memory": True}, 6),
        ({"p": 1.0}, 2),
        ({"batch_size": 4, **NOISY, "target_scaling": True, "species_weights": "equal", "ema": 0.9}, 2),
    ],
    ids=str,
)
def test_bits_of_eager_steps(both, samples, options, batches):
    eager, result = both(samples, **options)
    assert_same_run(result, eager)
    assert (result.replays, eager.replays) == (EPOCHS * batches, 0)
    assert result.history[-1]["train_loss"] != result.history[0]["train_loss"]


def test_several_numbers_of_particles(both):
    eager, result = both([*several((1, 2, 3)), *several((4, 5), number=90)])
    assert_same_run(result, eager)
    assert result.replays == EPOCHS * 5


@pytest.mark.parametrize("options", [{}, {"batch_size": 4, **NOISY}], ids=["one", "four"])
def test_streamed_data_give_the_bits_of_resident_ones(samples, monkeypatch, options):
    want = train(samples, **options)
    monkeypatch.setattr(DeviceQueue, "free_bytes", lambda self: 0)
    result = train(samples, **options)
    assert_same_run(result, want)
    assert result.replays == want.replays > 0


def test_it_is_the_training_of_the_cpu(samples):
    options = {"augmentation": "o3", "ema": 0.8}
    want, result = (train(samples, device=device, **options) for device in ("cpu", "cuda"))
    for a, b in zip(result.history, want.history, strict=True):
        for name in a.keys() - {"seconds"}:
            assert a[name] == (None if b[name] is None else pytest.approx(b[name], rel=1e-2)), name


def test_nobody_waits_within_an_epoch(samples, monkeypatch):
    """torch raises where the host would wait for the device; only the end of an epoch and a full ring may."""
    run, wait, waits = captured.CapturedSteps.run, Mark.wait, []

    def watched(self, *arguments):
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield from run(self, *arguments)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    def counted(self):
        if not self.done():
            waits.append(self)
        wait(self)

    monkeypatch.setattr(captured.CapturedSteps, "run", watched)
    monkeypatch.setattr(Mark, "wait", counted)
    result = train(samples, **NOISY)
    assert result.replays == EPOCHS * 6
    # for a slot of pinned memory, where the host is ahead, and at the end of an epoch, which empties the ring
    assert len(waits) <= EPOCHS * (6 - RING + 1) + captured.WARM_UPS


def test_the_sync_debug_mode_would_find_a_wait(device):
    torch.cuda.set_sync_debug_mode("error")
    try:
        with pytest.raises(RuntimeError, match="synchroni"):
            torch.ones(1, device=device).item()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_resume_and_interruption(samples, tmp_path):
    straight = train(samples, output=tmp_path / "straight", **NOISY)
    with pytest.raises(KeyboardInterrupt):
        train(samples, output=tmp_path / "run", **NOISY, callbacks=[Stop(1)])
    resumed = train(samples, output=tmp_path / "run", **NOISY, resume=True)
    assert_same_run(resumed, straight)
    assert_same_files(tmp_path / "run", straight.output)


@pytest.mark.parametrize("first", ["cpu", "cuda"])
def test_a_run_goes_on_elsewhere(samples, tmp_path, first):
    second = {"cpu": "cuda", "cuda": "cpu"}[first]
    want = train(samples, epochs=4)
    train(samples, epochs=2, output=tmp_path / "run", device=first)
    result = train(samples, epochs=4, output=tmp_path / "run", device=second, resume=True)
    for a, b in zip(result.history, want.history, strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-2)


def test_a_loss_that_is_not_finite(samples, monkeypatch):
    """A step size that overflows: the same message from both, naming epoch and configuration."""
    messages = []
    for value in ("0", "1"):
        monkeypatch.setenv(engine.VARIABLE, value)
        with pytest.raises(TrainingError, match="in epoch 0, configuration conf_") as error:
            train(samples, learning_rate=1e30)
        messages.append(str(error.value))
    assert messages[0] == messages[1]


def test_the_batch_on_the_device_is_that_of_the_cpu(device, samples):
    """The kernel against its definition in plain torch, bit for bit."""
    from botan_fast.ops.batches import BatchArrays, BatchChoice, BatchSource, load_batch
    from botan_fast.training.learner import make_learner
    from botan_fast.training.settings import TrainingSettings

    with torch.random.fork_rng(devices=[]):
        model = bf.BOTAN(hidden_size=32, num_steps=1, **INPUTS, num_species=2, input_columns={"shells": 3}).to(device)
    settings = TrainingSettings(0.4, 1, 0, "o3", 1e-3, "constant", 1.0, 3, 1, 1, input_noise=0.3)
    make_learner(model, settings)
    batches = PackedBatches(samples, model, settings, DeviceQueue(device))
    shape = batches.stage([4, 0, 5], torch.Generator().manual_seed(3))
    batches.load(shape)
    torch.cuda.synchronize()
    parts = [type(part)(*(t.cpu() for t in part)) for part in (batches._source.source, shape.choice, shape.arrays)]
    assert [type(part) for part in parts] == [BatchSource, BatchChoice, BatchArrays]
    want = BatchArrays(*(torch.empty_like(t) for t in parts[2]))
    load_batch(parts[0], parts[1], want)
    for name, a, b in zip(BatchArrays._fields, parts[2], want, strict=True):
        assert a.numpy().tobytes() == b.numpy().tobytes(), name


@pytest.mark.parametrize("bad", [None, math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("place", range(4))
def test_the_numbers_of_a_step(device, place, bad):
    """The kernel against its definition: losses, norm, what the optimizer reads, and the count of steps. NaN are equal
    whatever their bits."""
    from botan_fast.ops.batches import StepResults, record_step

    numbers = torch.tensor([0.5, 0.25, 2.0, *torch.rand(37, generator=torch.Generator().manual_seed(place)).tolist()])
    if bad is not None:
        numbers[place] = bad  # a loss, or a norm
    found = []
    for where in ("cpu", device):
        count = torch.tensor([41], device=where)
        results = StepResults(torch.zeros(3, 4, device=where), *torch.full((2,), 5.0, device=where).unbind(), count)
        losses, norms = [loss.clone() for loss in numbers[:3].to(where)], numbers[3:].to(where).clone()
        record_step(losses, norms, 0.7, torch.tensor([2], device=where), results)
        found.append([t.cpu() for t in results])
    for name, a, b in zip(StepResults._fields, *found, strict=True):
        assert torch.equal(a.isnan(), b.isnan()), name
        assert torch.equal(a.nan_to_num(nan=-1.0), b.nan_to_num(nan=-1.0)), name
    assert found[1][1] == (bad is not None)
    assert found[1][3] == 42
