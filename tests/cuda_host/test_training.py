"""A captured run whose operators are all emulated CUDA kernels: what a GPU would compute, launch by launch."""

import warnings
from functools import partial

import pytest
import torch

import botan_fast as bf
from botan_fast.model import botan, inputs
from botan_fast.ops import cuda
from botan_fast.training import engine
from tests.helpers.recorded_graph import PromptQueue, RecordedQueue, stand_in
from tests.helpers.runs import FAST, assert_same_run
from tests.helpers.structured import INPUTS, several

OPERATORS = ("mlp", "mlp_backward", "processor", "processor_backward", "loss", "load_batch", "record_step")


@pytest.fixture
def kernels(emulator):
    """The operators take the emulated kernels for tensors on the CPU; called[name] counts."""
    called = dict.fromkeys(OPERATORS, 0)

    def counted(name, *arguments):
        called[name] += 1
        return getattr(cuda, name)(emulator, *arguments)

    library = torch.library.Library("botan_fast", "IMPL")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that they take the place of others
        for name in OPERATORS:
            library.impl(name, partial(counted, name), "CPU", allow_override=True)
    yield called
    library._destroy()


INPUTS_OF_ALL_KINDS = INPUTS | {"input_noise": 0.2, "target_scaling": True, "species_weights": "equal"}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"p": 1.0, "batch_size": 2, "augmentation": "o3", "precision": "tf32"},
        {"batch_size": 2, "precision": "bf16", **INPUTS_OF_ALL_KINDS},
    ],
    ids=["default", "nodes", "inputs"],
)
def test_a_run(kernels, monkeypatch, options):
    """Captured and eager have the same bits; every step goes through the kernels."""
    for module in (botan, inputs):  # on CUDA nobody looks at the numbers of a graph
        monkeypatch.setattr(module, "check_species", lambda graph, number: None)
    samples, results = several((1, 2, 3)), []
    given = {**FAST, "num_steps": 1, "epochs": 2, "evaluate_every": 9, "ema": 0.5, **options}
    for queue, value in ((PromptQueue, "0"), (RecordedQueue, "1")):
        stand_in(monkeypatch, queue)
        monkeypatch.setenv(engine.VARIABLE, value)
        before = dict(kernels)
        results.append(bf.train(samples, **given))
        steps = 2 * (2 if options else 3) + (0 if value == "0" else 3 * (2 if options else 1))
        assert kernels["load_batch"] - before["load_batch"] == steps
        assert kernels["processor_backward"] - before["processor_backward"] == steps
    assert_same_run(results[1], results[0])
    assert results[1].replays == 2 * (2 if options else 3)


def test_losses_are_those_of_the_cpu(emulator, monkeypatch, request):
    samples = several((1, 2))
    given = {**FAST, "num_steps": 1, "epochs": 2, "evaluate_every": 9, "augmentation": "o3"}
    want = bf.train(samples, **given).history
    called = request.getfixturevalue("kernels")
    stand_in(monkeypatch)
    result = bf.train(samples, **given)
    assert called["load_batch"] == called["record_step"] == called["processor_backward"] == 4 + 3
    for a, b in zip(result.history, want, strict=True):
        for name in ("train_loss", "train_node_loss", "train_edge_loss", "gradient_norm"):
            assert a[name] == pytest.approx(b[name], rel=1e-4)
