"""Captured steps against eager ones, bit for bit, with a stand-in for CUDA graphs that keeps what the host baked in."""

from collections import Counter

import pytest
import torch

import botan_fast as bf
from botan_fast.data.times import join_times
from botan_fast.model import botan, inputs
from botan_fast.training import captured, engine
from botan_fast.training.batches import RING
from botan_fast.training.callbacks import Callback
from botan_fast.training.run_directory import RunDirectory
from botan_fast.training.steps import TrainingError
from tests.helpers.recorded_graph import PromptQueue, RecordedQueue, stand_in
from tests.helpers.runs import FAST, Stop, assert_same_files, assert_same_run
from tests.helpers.structured import INPUTS, several, structured
from tests.helpers.tiny_data import NUM_PARTICLES

EPOCHS = 3
TEST = structured(99)
NOISY = INPUTS | {"num_steps": 1, "augmentation": "o3", "learning_rate": 1e-2, "input_noise": 0.2, "seed": 4}
ALL = NOISY | {"ema": 0.7, "weight_decay": 0.02, "patience": 3, "validation": 1, "evaluate_every": 1}


class Losses(Callback):
    def __init__(self):
        self.seen = []

    def batch_finished(self, epoch, loss):
        self.seen.append((epoch, loss))


@pytest.fixture(autouse=True)
def as_on_a_device(monkeypatch):
    """What looks at the numbers of a graph on the CPU alone, as CUDA would have to wait."""
    for module in (botan, inputs):
        monkeypatch.setattr(module, "check_species", lambda graph, number: None)


@pytest.fixture(scope="module")
def samples():
    return several((1, 2, 3, 4, 5, 6))


@pytest.fixture
def both(monkeypatch):
    """both(samples, **options): the eager run and the captured one, with the callbacks' losses."""

    def run(samples, test=TEST, **options):
        results = []
        for queue, value in ((PromptQueue, "0"), (RecordedQueue, "1")):
            stand_in(monkeypatch, queue)
            monkeypatch.setenv(engine.VARIABLE, value)
            losses = Losses()
            given = {**FAST, "epochs": EPOCHS, "callbacks": [losses], **options}
            results += [bf.train(samples, test, **given), losses.seen]
        return results

    return run


def train(samples, **options):
    return bf.train(samples, TEST, **{**FAST, "epochs": EPOCHS, **options})


def assert_captured_as_eager(both, samples, batches, **options):
    eager, eager_losses, result, losses = both(samples, **options)
    assert_same_run(result, eager)
    assert losses == eager_losses
    assert (result.replays, eager.replays) == (EPOCHS * batches, 0)
    assert result.history[-1]["train_loss"] != result.history[0]["train_loss"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"augmentation": "o3"},
        {"augmentation": "none"},
        {"schedule": "cosine"},
        {"ema": 0.8},
        {"weight_decay": 0.05, "clip_norm": 0.01},
        {"p": 0.0},
        {"decoders": "shared", "save_memory": True},
        {"precision": "bf16", "edge_node_skip": True},
    ],
    ids=str,
)
def test_bits_of_the_eager_path(both, samples, options):
    assert len({sample.graph.num_edges for sample in samples}) == len(samples)
    assert_captured_as_eager(both, samples, 6, **options)


@pytest.mark.parametrize(
    ("options", "batches", "sizes"),
    [({"p": 1.0}, 2, 2), ({"batch_size": 2, "augmentation": "o3"}, 3, 1), ({"batch_size": 9}, 1, 1)],
)
def test_batches_of_several_configurations(both, samples, options, batches, sizes):
    """A CUDA graph for full batches, and one for the rest; p = 1 takes five configurations."""
    assert_captured_as_eager(both, samples, batches, **options)
    assert len(RecordedQueue.made[0].graphs) == sizes


def test_several_numbers_of_particles(both):
    samples = [*several((1, 2, 3)), *several((4, 5), number=90)]
    assert_captured_as_eager(both, samples, 5)
    assert len(RecordedQueue.made[0].graphs) == 2


def test_all_inputs_noise_scaled_targets_and_weights_of_species(both, samples):
    options = {"target_scaling": True, "species_weights": "equal"}
    eager, eager_losses, result, losses = both(samples, **{**ALL, **options, "epochs": 4})
    assert_same_run(result, eager)
    assert losses == eager_losses
    assert result.replays == 4 * 5  # one is held back


def test_several_times(both):
    """Where a configuration lacks a time, and where there is room beyond its edges, targets are NaN alike."""
    samples = join_times(
        [*structured(1, (1.3, 13.0)), *structured(2, (13.0,)), *structured(3, (1.3, 13.0))], (1.3, 13.0)
    )
    assert_captured_as_eager(both, samples, 3, augmentation="o3", test=None)


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("options", [{}, {"batch_size": 4, **NOISY}], ids=["one", "four"])
def test_data_that_do_not_fit_are_streamed(both, samples, monkeypatch, options, early):
    monkeypatch.setattr(RecordedQueue, "free", 1000)
    monkeypatch.setattr(RecordedQueue, "side_is_early", early)
    assert_captured_as_eager(both, samples, 6 if not options else 2, **options)
    assert len(RecordedQueue.made) == 2  # with a queue of copies


def test_where_the_step_leaves_no_room_the_data_go_to_the_host(samples, monkeypatch):
    """Out of memory with resident data: tried again with data that are streamed; then there is nothing left to try."""
    stand_in(monkeypatch)
    want = train(samples)
    capture = RecordedQueue.capture

    def full(self, step):
        if len(RecordedQueue.made) < least:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return capture(self, step)

    monkeypatch.setattr(RecordedQueue, "capture", full)
    stand_in(monkeypatch)
    least = 2
    assert_same_run(train(samples), want)
    least = 9
    stand_in(monkeypatch)
    with pytest.raises(torch.OutOfMemoryError):
        train(samples)


def test_it_is_the_training_of_the_cpu(samples, monkeypatch):
    """Same seeds, order and rotations: another Adam kernel and a few roundings apart."""
    want = train(samples, augmentation="o3", ema=0.8)
    stand_in(monkeypatch)
    result = train(samples, augmentation="o3", ema=0.8)
    for a, b in zip(result.history, want.history, strict=True):
        for name in a.keys() - {"seconds"}:
            assert a[name] == (None if b[name] is None else pytest.approx(b[name], rel=1e-3)), name


# ---- what a run is besides its steps ---------------------------------------------------------------------------------


def test_resume(samples, monkeypatch, tmp_path):
    stand_in(monkeypatch)
    straight = train(samples, **{**ALL, "epochs": 4}, output=tmp_path / "straight")
    train(samples, **{**ALL, "epochs": 2}, output=tmp_path / "run")
    resumed = train(samples, **{**ALL, "epochs": 4}, output=tmp_path / "run", resume=True)
    assert_same_run(resumed, straight)
    assert_same_files(tmp_path / "run", straight.output)
    assert (straight.replays, resumed.replays) == (20, 10)


@pytest.mark.parametrize("first", ["cpu", "device"])
def test_a_run_goes_on_elsewhere(samples, tmp_path, first):
    """Begun on the CPU and continued on a device, and the other way round."""
    want = train(samples, epochs=4, output=tmp_path / "cpu", schedule="cosine", ema=0.5)
    for part, epochs in (("first", 2), ("second", 4)):
        with pytest.MonkeyPatch.context() as patch:
            # A run with a schedule knows its end: it is interrupted after two epochs instead of having two.
            if (part == "first") == (first == "device"):
                stand_in(patch)
            stop = [Stop(2)] if epochs == 2 else []
            options = {"epochs": 4, "schedule": "cosine", "ema": 0.5, "output": tmp_path / "run", "resume": epochs == 4}
            if stop:
                with pytest.raises(KeyboardInterrupt):
                    train(samples, **options, callbacks=stop)
            else:
                result = train(samples, **options)
    assert [row["epoch"] for row in result.history] == [0, 1, 2, 3]
    for a, b in zip(result.history, want.history, strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-3)
        assert a["learning_rate"] == b["learning_rate"]
    states = [RunDirectory(tmp_path / name).read_state() for name in ("run", "cpu")]
    for name, value in states[0].optimizer.items():
        assert value.dtype == torch.float32
        if name.startswith("step."):
            assert value == states[1].optimizer[name] == 24
    assert states[0].optimizer.keys() == states[1].optimizer.keys()


@pytest.mark.parametrize("epoch", [0, 2])
def test_interrupted_within_an_epoch(samples, monkeypatch, tmp_path, epoch):
    stand_in(monkeypatch)
    straight = train(samples, output=tmp_path / "straight")
    stop = Stop(epoch)
    with pytest.raises(KeyboardInterrupt):
        train(samples, output=tmp_path / "run", checkpoint_every=10, callbacks=[stop])
    assert stop.ended
    assert_same_run(train(samples, output=tmp_path / "run", resume=True), straight)
    assert_same_files(tmp_path / "run", straight.output)


class Poison(Callback):
    """A target becomes NaN after an epoch: in the samples, and where they lie end to end."""

    def __init__(self, samples, monkeypatch):
        self.sample = samples[2]
        made = engine.PackedBatches.__init__

        def keep(packed, *arguments, **options):
            made(packed, *arguments, **options)
            self.packed = packed

        monkeypatch.setattr(engine.PackedBatches, "__init__", keep)

    def epoch_finished(self, row, model):
        if row["epoch"] == 1:
            self.packed._source._packed.rows(2)[2][7] = torch.nan


@pytest.mark.parametrize("every", [0.0, 1e9])
def test_a_loss_that_is_not_finite_stops_the_run(monkeypatch, tmp_path, every):
    """The same error and the same kept weights; seldom looked at, it is found at the end of the epoch."""
    monkeypatch.setattr(captured, "LOOK_EVERY", every)
    messages, losses = [], []
    for queue, value in ((PromptQueue, "0"), (RecordedQueue, "1")):
        samples = several((1, 2, 3, 4, 5, 6))
        stand_in(monkeypatch, queue)
        monkeypatch.setenv(engine.VARIABLE, value)
        seen, output = Losses(), tmp_path / f"run{value}"
        with pytest.MonkeyPatch.context() as patch, pytest.raises(TrainingError, match="in epoch 2") as error:
            train(samples, epochs=6, output=output, checkpoint_every=10, callbacks=[Poison(samples, patch), seen])
        messages.append(str(error.value))
        losses.append(seen.seen)
        assert RunDirectory(output).read_state().epochs == 2
    assert messages[0] == messages[1]
    assert "loss = nan" in messages[0]
    assert "configuration conf_3" in messages[0]
    assert losses[0] == losses[1]
    assert_same_files(tmp_path / "run0", tmp_path / "run1")


def test_weights_are_safe_before_anybody_looks(samples, monkeypatch):
    """A step whose gradient is not finite changes no weight, nor does any later one change what it was."""
    stand_in(monkeypatch)
    learner = None
    make = engine.CapturedSteps

    def kept(given, *arguments):
        nonlocal learner
        learner = given
        return make(given, *arguments)

    monkeypatch.setattr(engine, "CapturedSteps", kept)
    monkeypatch.setattr("botan_fast.training.learner.Learner.restore", lambda self, state: None)
    with pytest.raises(TrainingError):
        train(samples, learning_rate=1e30, epochs=9)
    steps = {int(state["step"]) for state in learner.optimizer.state.values()}
    assert all(parameter.isfinite().all() for parameter in learner.model.parameters())
    assert len(steps) == 1
    assert max(steps) < int(RecordedQueue.made[0].graphs[0].replays)


@pytest.mark.parametrize("every", [0.0, 1e9])
def test_watchers_get_every_loss_once_and_in_order(monkeypatch, every):
    """Whether the record is looked at within an epoch or only at its end."""
    monkeypatch.setattr(captured, "LOOK_EVERY", every)
    stand_in(monkeypatch)
    losses, staged = Losses(), []
    stage = engine.PackedBatches.stage

    def count(self, *arguments, **options):
        staged.append(len(losses.seen))
        return stage(self, *arguments, **options)

    monkeypatch.setattr(engine.PackedBatches, "stage", count)
    result = train(several(range(24)), callbacks=[losses])
    assert [epoch for epoch, _ in losses.seen] == [epoch for epoch in range(EPOCHS) for _ in range(24)]
    for row in result.history:
        of_epoch = [loss for epoch, loss in losses.seen if epoch == row["epoch"]]
        assert sum(of_epoch) / 24 == pytest.approx(row["train_loss"], rel=1e-12)
    within = [seen % 24 for seen in staged[captured.WARM_UPS :]]
    assert any(within) == (every == 0.0)
    queue = RecordedQueue.made[0]
    # for a slot of pinned memory, where the host is ahead, and at the end of an epoch
    assert queue.waits <= EPOCHS * (24 - RING + 1)


def test_a_capture_changes_nothing(samples, monkeypatch):
    """Warm-ups are steps; weights, moments and averages are afterwards those of before, and no step was counted."""
    stand_in(monkeypatch)
    make, seen = engine.CapturedSteps, []

    def watched(learner, *arguments):
        before = learner.capture([], None, {})
        steps = make(learner, *arguments)
        seen.append((before, learner.capture([], None, {}), int(steps._results.steps)))
        return steps

    monkeypatch.setattr(engine, "CapturedSteps", watched)
    train(samples, ema=0.9, epochs=1)
    [(before, after, count)] = seen
    assert count == 0
    assert before.optimizer == {}
    assert not any(value.any() for value in after.optimizer.values())
    for part in ("weights", "average"):
        for name, value in getattr(before, part).items():
            assert torch.equal(getattr(after, part)[name], value)


def test_a_graph_touches_only_what_stays(samples, monkeypatch):
    """Whatever a graph reads or writes is of the model, its optimizer, its average or the buffers of the steps."""
    stand_in(monkeypatch)
    made = []
    monkeypatch.setattr(engine, "CapturedSteps", lambda *a: made.append(captured.CapturedSteps(*a)) or made[0])
    train(samples, **{**NOISY, "ema": 0.9, "epochs": 1})
    [steps] = made
    learner, batches = steps.learner, steps._batches
    stay = [*learner.model.parameters(), *learner.model.buffers(), *learner.average.model.parameters()]
    stay += [t for state in learner.optimizer.state.values() for t in state.values()]
    stay += [*batches._source.source, batches._buffer, batches._noise, batches._noise_widths]
    stay += [t for shape in batches.shapes.values() for t in shape.arrays]
    stay += steps._results
    known = {t.untyped_storage().data_ptr() for t in stay}
    [graph] = RecordedQueue.made[0].graphs
    assert {t.untyped_storage().data_ptr() for t in graph.external.values()} <= known
    assert graph.replays == len(samples)


def test_what_torch_launches_besides_the_operators(samples, monkeypatch):
    """What docs/kernels.md counts, for the default options."""
    stand_in(monkeypatch)
    train(samples, epochs=1)
    [graph] = RecordedQueue.made[0].graphs
    counted = {"_to_copy": 1, "_foreach_norm": 1, "stack": 1}
    counted |= {"_foreach_add_": 1, "_fused_adam_": 1, "_foreach_sub_": 1}
    found = Counter(name.removeprefix("aten::") for name in graph.names if name.startswith("aten::"))
    assert found == Counter(counted)
    ours = Counter(name.removeprefix("botan_fast::") for name in graph.names if not name.startswith("aten::"))
    once = ("load_batch", "processor", "loss", "processor_backward", "record_step")
    assert [ours[name] for name in once] == [1] * 5
    assert ours["mlp"] == ours["mlp_backward"] == 4


def test_the_data_lie_end_to_end_once(samples, monkeypatch):
    stand_in(monkeypatch)
    made = []
    monkeypatch.setattr(engine, "CapturedSteps", lambda *a: made.append(captured.CapturedSteps(*a)) or made[0])
    train(samples, epochs=1)
    source = made[0]._batches._source.source
    edges = sum(sample.graph.num_edges for sample in samples)
    assert source.types.shape == (6 * NUM_PARTICLES,)
    assert source.vectors.shape == (edges, 3)
    assert torch.equal(source.vectors, torch.cat([sample.graph.vectors for sample in samples]))
    assert torch.equal(source.edge_targets[:, 0], torch.cat([sample.targets.pair_change for sample in samples]))
    assert torch.equal(source.numbers[:, 0], torch.cat([sample.targets.propensity for sample in samples]))
