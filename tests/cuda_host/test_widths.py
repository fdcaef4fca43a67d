"""Padded widths through the CUDA kernels of the host emulation: to 32, 64 and 128, packed in one launch."""

import copy

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast import device as devices
from botan_fast import ops
from botan_fast.ops import precision as precisions
from tests.helpers.emulated_device import EmulatedDevice
from tests.helpers.processor_case import open_or_closed
from tests.helpers.random_graphs import relative_l2

TOLERANCE = {"fp32": 1e-5, "tf32": 1e-2}  # the last against float64: of factors rounded to 2^-11


def test_the_width_depends_on_the_shared_memory(emulator, monkeypatch):
    monkeypatch.setattr(devices, "CUDA_KERNELS", emulator)
    gpu = torch.device("cuda", 0)

    def widths(precision):
        return [ops.padded_width(h, gpu, precision) for h in (1, 16, 32, 48, 64, 96, 128, 129)]

    assert widths("fp32") == [32, 32, 32, 64, 64, 128, 128, None]
    emulator.set_max_shared_bytes(72 << 10)
    assert widths("fp32") == [32, 32, 32, None, None, None, None, None]
    assert widths("bf16") == [32, 32, 32, 64, 64, None, None, None]
    assert ops.has_fast_path(48, torch.float32, gpu, "bf16")
    assert not ops.has_fast_path(48, torch.float32, gpu, "fp32")


@pytest.mark.parametrize("hidden", [40, 64])
def test_too_little_shared_memory_is_said(emulator, monkeypatch, hidden):
    monkeypatch.setattr(devices, "CUDA_KERNELS", emulator)
    monkeypatch.setattr(precisions, "CUDA_KERNELS", emulator)
    monkeypatch.setattr(precisions, "_warned", set())
    emulator.set_max_shared_bytes(72 << 10)
    with pytest.warns(bf.BotanFastWarning, match=f"too little shared memory for hidden_size = {hidden} in precision"):
        ops.warn_if_slow(hidden, "fp32", torch.device("cuda", 0))


@pytest.fixture
def device(emulator, monkeypatch):
    """Operators on CPU tensors run the CUDA kernels, in the widths that those have."""
    monkeypatch.setattr(precisions, "COMPILED_WIDTHS", (32, 64, 128))
    return EmulatedDevice(emulator, monkeypatch)


def results(model, graph, precision="fp32"):
    model.zero_grad()
    prediction = model(graph, precision)
    generator = torch.Generator().manual_seed(5)
    sum((part * (1 + torch.randn(part.shape, generator=generator))).sum() for part in prediction).backward()
    return [*(part.detach() for part in prediction), *(p.grad for p in model.parameters())]


@pytest.mark.parametrize("precision", ["fp32", "tf32"])
@pytest.mark.parametrize("hidden", [7, 24, 48])
def test_a_model(device, hidden, precision):
    rng = np.random.default_rng(0)
    graph = bf.build_graph(rng.uniform(0, 4.2, (30, 3)), rng.integers(0, 2, 30), [4.2] * 3)
    torch.manual_seed(0)
    model = bf.BOTAN(hidden_size=hidden, num_steps=2)
    open_or_closed(model.parameters())
    exact = results(copy.deepcopy(model).double(), graph)
    with device:
        found = results(model, graph, precision)
        launches = device.launches()
    for a, b in zip(found, exact, strict=True):
        assert a.shape == b.shape
        assert relative_l2(a, b) < TOLERANCE[precision]
    assert (launches["pack"], launches["edge_forward"], launches["edge_backward"]) == (1, 2, 2)
    # Weights and biases, not features: these stay padded from the encoders to the decoders.
    assert launches["torch constant_pad_nd"] <= 2 * len(list(model.parameters()))
