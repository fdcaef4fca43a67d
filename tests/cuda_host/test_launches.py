"""A whole training step on CUDA through the host emulation: how many kernels it launches, and that it is right."""

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast import ops
from botan_fast.errors import InputError
from botan_fast.ops import packing
from tests.helpers.emulated_device import EmulatedDevice
from tests.helpers.random_graphs import relative_l2

FORWARD = {
    "pack": 1,
    "torch _to_copy": 1,  # types as numbers
    "mlp_forward": 4,
    "linear": 1,
    "edge_forward": 7,
    "node_forward": 7,
    "loss": 1,
    "add_losses": 1,
}
BACKWARD = {
    "mlp_backward": 4,
    "linear": 2,
    "node_backward": 7,
    "edge_backward": 7,
    "sum_senders": 7,
    "outer": 1,
    "reduce": 5,
}
# Of torch's operators on a GPU _foreach_norm is three launches, the others one each.
OPTIMIZER = {
    "torch _foreach_norm": 1,
    "torch stack": 1,
    "record_step": 1,
    "torch _foreach_add_": 1,
    "torch _fused_adam_": 1,
    "torch _foreach_sub_": 1,
}
# Of gradients from the definition that rounds alike. Few factors fall to the other side of a rounding, by 1e-3 of their
# size; in tf32, with sums in another order, so may a ReLU to the other side of its kink: 4e-3 here.
TOLERANCE = {"fp32": 1e-5, "tf32": 1e-2, "bf16": 2e-3}


@pytest.fixture
def device(emulator, monkeypatch):
    return EmulatedDevice(emulator, monkeypatch)


@pytest.fixture
def graph():
    rng = np.random.default_rng(0)
    return bf.build_graph(rng.uniform(0, 4.2, (30, 3)), rng.integers(0, 2, 30), [4.2] * 3)


def make_model(**options):
    torch.manual_seed(0)
    return bf.BOTAN(**{"hidden_size": 32, **options})


def loss_of(model, graph, precision="fp32", save_memory=False):
    generator = torch.Generator().manual_seed(1)
    prediction = model(graph, precision, save_memory)
    parts = [None if part is None else torch.rand(len(part), generator=generator) for part in prediction]
    return ops.loss(*prediction, *parts, 0.4).total


def gradients_of(model, loss):
    model.zero_grad()
    loss.backward(ops.unit_gradient(loss))
    return [parameter.grad for parameter in model.parameters()]


def test_launches_of_a_training_step(device, graph):
    """As `training.captured` has it, with the loading of the batch one more: 65 launches. The target is 70."""
    model = make_model()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    ops.unit_gradient(torch.zeros(()))
    with device:
        loss = loss_of(model, graph)
    # targets of random numbers are no part of a step
    forward = {name: n for name, n in device.launches().items() if name not in ("torch rand", "torch random")}
    with device:
        gradients = gradients_of(model, loss)
    backward = device.launches()
    batch, (not_finite, scale) = torch.zeros(1, dtype=torch.int64), torch.zeros(2)
    results = ops.batches.StepResults(torch.zeros(1, 4), not_finite, scale, torch.zeros(1, dtype=torch.int64))
    with device:
        norms = torch.stack(torch._foreach_norm(gradients))
        ops.batches.record_step([loss.detach()] * 3, norms, 1.0, batch, results)
        optimizer.grad_scale, optimizer.found_inf = scale, not_finite
        optimizer.step()
    step = device.launches()
    assert scale >= 1
    assert not_finite == 0
    step = {name: n for name, n in step.items() if name not in ("torch zeros", "torch zeros_like")}  # its state, once
    assert forward == FORWARD
    assert backward == BACKWARD
    assert step == OPTIMIZER
    assert [sum(part.values()) for part in (forward, backward, step)] == [23, 33, 6]


@pytest.mark.parametrize(
    ("options", "more"), [({"edge_node_skip": True}, {"sum_steps": 1}), ({"hidden_size": 128}, {"outer": 2 + 4})]
)
def test_launches_of_other_models(device, graph, options, more):
    """Two steps. Per step two forward and three backward, beside what the option asks for."""
    model = make_model(num_steps=2, **options)
    with device:
        loss = loss_of(model, graph)
    assert device.launches() == FORWARD | {"edge_forward": 2, "node_forward": 2, "torch rand": 2}
    with device:
        gradients_of(model, loss)
    expected = BACKWARD | {"node_backward": 2, "edge_backward": 2, "sum_senders": 2}
    assert device.launches() == {name: expected.get(name, 0) + more.get(name, 0) for name in expected | more}


@pytest.mark.parametrize("options", [{}, {"edge_node_skip": True}, {"decoders": "shared"}, {"decoders": "node"}])
def test_a_gradient_of_one_costs_nothing_else(device, graph, options):
    """The same bits as a backward pass that multiplies by it, in three launches less."""
    model = make_model(num_steps=2, **options)
    with device:
        loss = loss_of(model, graph)
    with device:
        got = gradients_of(model, loss)
    known = sum(device.launches().values())
    model.zero_grad()
    with device:
        loss = loss_of(model, graph)
    with device:
        loss.backward()
    parts = 1 if options.get("decoders") == "node" else 2
    assert sum(device.launches().values()) == known + 1 + parts
    for a, parameter in zip(got, model.parameters(), strict=True):
        assert torch.equal(a, parameter.grad)


@pytest.mark.parametrize("precision", ops.PRECISIONS)
@pytest.mark.parametrize("save_memory", [False, True])
@pytest.mark.parametrize("options", [{}, {"edge_node_skip": True, "decoders": "shared"}])
def test_packed_once_or_by_each_call(device, graph, monkeypatch, rounding, precision, save_memory, options):
    """The same bits; and the gradients of the definition in float64, which rounds factors where the kernels do."""
    model = make_model(num_steps=5, **options)
    with device:
        got = gradients_of(model, loss_of(model, graph, precision, save_memory))
    assert device.launches()["pack"] == 1
    monkeypatch.setattr(packing, "kernels_for", lambda device: None)
    with device:
        apart = gradients_of(model, loss_of(model, graph, precision, save_memory))
    assert device.launches()["pack"] == 10
    for a, b in zip(got, apart, strict=True):
        assert torch.equal(a, b)
    exact = make_model(num_steps=5, **options).double()
    loss = loss_of(exact, graph, rounding(precision))
    for a, want in zip(got, torch.autograd.grad(loss, list(exact.parameters())), strict=True):
        assert relative_l2(a, want) < TOLERANCE[precision]


def test_wide_encoders_are_packed_too(device, monkeypatch):
    rng = np.random.default_rng(0)
    graph = bf.build_graph(rng.uniform(0, 4.2, (20, 3)), rng.integers(0, 2, 20), [4.2] * 3)
    graph = graph.replace(arrays={"a": torch.randn(20, 70, generator=torch.Generator().manual_seed(0))})
    model = make_model(num_steps=1, node_inputs=["a"], input_columns={"a": 70}, num_outputs=2)

    def run():
        with device:
            prediction = model(graph)
            total = sum(part.square().mean() for part in prediction)
            return torch.autograd.grad(total, list(model.parameters()))

    got = run()
    assert device.launches()["pack"] == 1
    monkeypatch.setattr(packing, "kernels_for", lambda device: None)
    for a, b in zip(got, run(), strict=True):
        assert torch.equal(a, b)


def test_weights_that_changed_before_the_backward_pass(device, graph):
    model = make_model(num_steps=1)
    with device:
        loss = loss_of(model, graph)
    with torch.no_grad():
        model.processor.edge_mlp.fc1.weight.mul_(2)
    with device, pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_weights_are_packed_anew_in_each_pass(device, graph):
    model = make_model(num_steps=1)
    with device, torch.no_grad():
        before = model(graph).node
        model.processor.edge_mlp.fc1.weight.mul_(2)
        after = model(graph).node
    assert not torch.equal(before, after)
    with device, torch.no_grad():
        assert torch.equal(make_model(num_steps=1)(graph).node, before)


def test_a_part_in_its_place_is_left_alone(device, graph):
    """A module that someone has put in the place of an encoder packs its weights by itself, as a layer alone does."""

    class Doubled(bf.MLP):
        def forward(self, x, precision="fp32"):
            return 2 * super().forward(x, precision)

    model = make_model(num_steps=1)
    model.node_encoder = Doubled(1, 32)
    with device, torch.no_grad():
        model(graph)
    assert device.launches()["pack"] == 2
    layer = bf.BOTANLayer(32)
    x, e = torch.randn(30, 32), torch.randn(graph.num_edges, 32)
    with device, torch.no_grad():
        layer.run(x, e, x, e, [graph.senders, graph.receivers, graph.row_ptr, graph.sender_order, graph.sender_ptr], 1)
    assert device.launches()["pack"] == 1


def test_inside_compile(emulator, graph, monkeypatch):
    """The packed weights are part of what is traced, once: made in each call, never kept. (Of the CPU's operators: a
    mode as above is not traced.)"""
    monkeypatch.setattr(packing, "kernels_for", lambda device: emulator)
    model, packs = make_model(num_steps=2), []

    def backend(traced, _):
        packs.append([node for node in traced.graph.nodes if "botan_fast.pack" in str(node.target)])
        return traced

    compiled = torch.compile(model, backend=backend, fullgraph=True)
    for _ in range(2):
        for got, want in zip(compiled(graph), model(graph), strict=True):
            assert torch.equal(got, want)
        with torch.no_grad():
            model.node_decoder.fc3.bias.add_(1)
    assert [len(nodes) for nodes in packs] == [1]


def test_a_buffer_of_something_else_is_refused(emulator):
    weights = [torch.randn(32, 3), torch.zeros(32), torch.randn(32, 32), torch.zeros(32)]
    x, y = torch.randn(5, 3), torch.randn(5, 32)
    (buffer,) = ops.cuda.pack(emulator, weights, [4], False, 0)
    assert len(buffer) == packing.packed_bytes(weights, False, 0)
    assert torch.equal(ops.cuda.mlp(emulator, x, weights, 0, buffer), ops.cuda.mlp(emulator, x, weights, 0))
    with pytest.raises(InputError, match=r"packed is torch.uint8 of shape .*16384 bytes.*gradients enabled"):
        ops.cuda.mlp_backward(emulator, x, weights, y, y, False, 0, buffer)
    with pytest.raises(InputError, match=r"packed is torch.float32"):
        ops.cuda.mlp(emulator, x, weights, 0, buffer.view(torch.float32))


@pytest.mark.parametrize("precision", range(3))
@pytest.mark.parametrize("backward", [False, True])
def test_the_size_of_packed_weights(emulator, precision, backward):
    """What the tracer is told is what the kernels need."""
    for hidden in (32, 64, 128):
        for inputs in (1, 32, 33, 130, 600):
            needed = emulator.packed_bytes(inputs, False, hidden, backward, precision)
            assert packing.packed_bytes([torch.empty(hidden, inputs)], backward, precision) == needed
        for blocks in (4, 6):
            parts = [torch.empty(hidden, blocks * hidden), *[None] * 3, torch.empty(hidden, 3 * hidden), *[None] * 3]
            needed = emulator.packed_bytes(blocks * hidden, True, hidden, backward, precision)
            assert packing.packed_bytes(parts, backward, precision) == needed
    with pytest.raises(ValueError, match="num_inputs = 160 of a processor with hidden_size = 32; MLP_e reads 4 or 6"):
        emulator.pack_weights(0, 0, [(160, [64] * 8, 64)], 32, False, 0)
