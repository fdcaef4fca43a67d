"""The stand-in for CUDA graphs finds what a real one would do to a step: the faults, made on purpose."""

import re

import pytest
import torch

from botan_fast.errors import InputError
from botan_fast.training import batches, captured, engine
from botan_fast.training.augmentation import random_rotation
from botan_fast.training.learner import Learner
from botan_fast.training.packing import Streamed
from tests.helpers.recorded_graph import HostAccess, PromptQueue, RecordedGraph, RecordedMark, RecordedQueue, stand_in
from tests.helpers.runs import run


def test_a_replay_reads_tensors_and_not_what_the_host_had():
    x, out, scale = torch.tensor([1.0, 2.0]), torch.zeros(2), 3.0
    graph = RecordedGraph(lambda: out.add_((x * scale)[1:]))
    assert out.tolist() == [0, 0]  # nothing runs at the capture
    scale = 5.0
    x.copy_(torch.tensor([0.0, 10.0]))
    graph.replay()
    graph.replay()
    assert out.tolist() == [60, 60]


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (lambda x: x.sum().item(), "reads a number on the host"),
        (lambda x: bool(x[0] > 0), "reads a number on the host"),
        (lambda x: x.nonzero(), "size the host must know"),
        (lambda x: x[x > 1], "size the host must know"),
        (lambda x: x * torch.tensor([1.0, 2.0]), "makes a tensor of host data"),
        (lambda x: x * torch.randn(2), "draws random numbers"),
    ],
)
def test_what_a_capture_forbids(step, text):
    with pytest.raises(HostAccess, match=text):
        RecordedGraph(lambda: step(torch.ones(2)))


def test_gradients_are_recorded():
    w, x, out = torch.ones(3, requires_grad=True), torch.ones(3), torch.zeros(3)

    def step():
        w.grad = None
        (w * x).square().sum().backward()
        out.copy_(w.grad)

    graph = RecordedGraph(step)
    x.copy_(torch.tensor([1.0, 2.0, 3.0]))
    graph.replay()
    assert out.tolist() == [2, 8, 18]


def test_queued_work_runs_when_somebody_waits():
    queue = RecordedQueue(torch.device("cpu"))
    source, target = torch.ones(2), torch.zeros(2)
    queue.copy(target, source)
    mark = queue.mark()
    source.fill_(5)  # too early: the copy has not run
    assert target.tolist() == [0, 0]
    mark.wait()
    assert target.tolist() == [5, 5]
    assert queue.waits == 1


# ---- faults of an engine, made on purpose ----------------------------------------------------------------------------


def fault_step_size(patch):
    """The step size of the host instead of that in the buffer."""
    patch.setattr(Learner, "read_from", lambda self, step_size, *results: self.set_step_size(1e-4))
    patch.setattr("botan_fast.training.learner.Tensor", type("None", (), {}))


def fault_rotation(patch):
    """One rotation for all, drawn at the capture."""
    turn = random_rotation("octahedral", 3, torch.Generator().manual_seed(5))
    patch.setattr(batches, "random_rotation", lambda *arguments: turn)


def fault_number_of_edges(patch):
    """The number of edges of the batch that was there at the capture."""

    def step(model, graph, node, edge, settings):
        number = int(model.number_of_edges)
        prediction = model(graph)
        node_loss = (prediction.node - node).square().mean()
        edge_loss = (prediction.edge[:number] - edge[:number].nan_to_num()).square().mean()
        return 0.4 * node_loss + 0.6 * edge_loss, node_loss, edge_loss

    stage = batches.PackedBatches.stage

    def watched(self, batch, *arguments, **options):
        shape = stage(self, batch, *arguments, **options)
        torch.nn.Module.number_of_edges = self._layout.sizes[batch[0]][1]
        return shape

    patch.setattr(torch.nn.Module, "number_of_edges", 0, raising=False)
    patch.setattr(batches.PackedBatches, "stage", watched)
    patch.setattr(captured, "batch_loss", step)


def fault_number_of_batch(patch):
    """The number of the batch is that of the capture: one row of the record for all."""
    patch.setattr(batches.StepInputs, "number", property(lambda self: torch.zeros(1, dtype=torch.int64)))


def fault_wait_for_a_slot(patch):
    """Pinned memory is written again before the device has copied it."""
    patch.setattr(RecordedMark, "wait", lambda self: None if self.place < 30 else self.queue.run_until(self.place))


def fault_wait_for_the_record(patch):
    """The record is read before it was copied."""
    wait = RecordedMark.wait
    patch.setattr(captured.CapturedSteps, "_look", lambda self: self._queue.mark())
    patch.setattr(RecordedMark, "wait", wait)


def fault_copies_that_nobody_waits_for(patch):
    """A step does not wait for the copies of its configurations."""
    patch.setattr(RecordedQueue, "free", 0)
    wait = RecordedQueue.wait_for
    patch.setattr(RecordedQueue, "wait_for", lambda self, mark: wait(self, mark) if len(self.graphs) == 0 else None)


def fault_copies_that_wait_for_nobody(patch):
    """The configurations of the step after next overwrite those of a step that has not run."""
    patch.setattr(RecordedQueue, "free", 0)
    patch.setattr(RecordedQueue, "side_is_early", True)
    patch.setattr(Streamed, "passed", lambda self: None)


FAULTS = [
    fault_step_size,
    fault_rotation,
    fault_number_of_edges,
    fault_number_of_batch,
    fault_wait_for_a_slot,
    fault_wait_for_the_record,
    fault_copies_that_nobody_waits_for,
    fault_copies_that_wait_for_nobody,
]


@pytest.fixture(scope="module")
def eager(tiny_data):
    with pytest.MonkeyPatch.context() as patch:
        stand_in(patch, PromptQueue)
        patch.setenv(engine.VARIABLE, "0")
        return run(tiny_data, epochs=3, batch_size=1, schedule="cosine")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__.removeprefix("fault_"))
def test_a_fault_shows(tiny_data, eager, monkeypatch, fault):
    """Each makes another run of it, or an error of what the device was left with."""
    stand_in(monkeypatch)
    fault(monkeypatch)
    try:
        result = run(tiny_data, epochs=3, batch_size=1, schedule="cosine")
    except (RuntimeError, InputError) as error:
        if re.search("the device counted|sender_order does not hold each", str(error)):
            return
        raise
    weights = [r.model.state_dict() for r in (result, eager)]
    losses = [[row["train_loss"] for row in r.history] for r in (result, eager)]
    assert losses[0] != losses[1] or any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_without_a_fault_nothing_shows(tiny_data, eager, monkeypatch):
    stand_in(monkeypatch)
    result = run(tiny_data, epochs=3, batch_size=1, schedule="cosine")
    assert [row["train_loss"] for row in result.history] == [row["train_loss"] for row in eager.history]
    assert all(torch.equal(eager.model.state_dict()[name], w) for name, w in result.model.state_dict().items())
