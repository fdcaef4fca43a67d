"""save_memory=True: fewer arrays are kept for the backward pass, and every result has the same bits."""

import inspect
import json
import re

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast import ops
from botan_fast.cli import main
from botan_fast.errors import InputError
from botan_fast.ops import reference
from tests.helpers.processor_case import Case, leaves
from tests.helpers.tiny_data import TINY

NODES, EDGES = 61, 1100  # more than one part of the edges in each pass


def results(case, precision, save_memory, use=(True, True), dtype=torch.float32):
    """Outputs and the gradients of everything."""
    inputs = leaves(case.tensors, dtype)
    t = inputs
    outputs = ops.processor(*t[:4], case.topology, t[4:8], t[8:12], case.steps, precision, save_memory)
    return [*outputs, *case.gradients(outputs, inputs, use)]


def assert_equal(found, expected):
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)
    assert all(torch.isfinite(b).all() for b in expected)


def kept_bytes(run):
    """Bytes of the different tensors that autograd keeps between the two passes of `run`, and what it returned."""
    sizes = {}

    def pack(tensor):
        sizes[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = run()
        return sum(sizes.values()), result


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("steps", range(1, 10))
def test_same_bits_after_any_number_of_steps(precision, steps):
    case = Case(NODES, EDGES, 32, steps=steps, start=steps % 2 == 0, seed=steps)
    expected = results(case, precision, False)
    assert_equal(results(case, precision, True), expected)
    assert all(t.abs().sum() > 0 for t in expected)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("hidden", [32, 64, 128])
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("start", [False, True])
def test_same_bits(precision, hidden, skip, start):
    case = Case(NODES, EDGES, hidden, steps=7, skip=skip, start=start)
    assert_equal(results(case, precision, True), results(case, precision, False))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("use", [(True, False), (False, True)])
@pytest.mark.parametrize("steps", [1, 2, 6])
def test_same_bits_with_one_output_used(precision, use, steps):
    case = Case(NODES, EDGES, steps=steps)
    assert_equal(results(case, precision, True, use), results(case, precision, False, use))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("nodes", "edges"), [(0, 0), (1, 0), (1, 1), (3, 300), (200, 191)])
def test_same_bits_for_any_graph(precision, nodes, edges):
    case = Case(nodes, edges, 32, steps=6)
    assert_equal(results(case, precision, True), results(case, precision, False))


def test_same_bits_for_any_number_of_threads():
    case, before = Case(900, 30000, 32, steps=5, seed=3), torch.get_num_threads()
    found = []
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            found.append(results(case, "fp32", True))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert_equal(other, found[0])


def test_two_backward_passes_agree():
    case = Case(NODES, EDGES, 32, steps=6)
    inputs = leaves(case.tensors, torch.float32)
    t = inputs
    outputs = ops.processor(*t[:4], case.topology, t[4:8], t[8:12], case.steps, "bf16", True)
    loss, present = sum(o.square().sum() for o in outputs), [t for t in inputs if t is not None]
    first = torch.autograd.grad(loss, present, retain_graph=True)
    assert_equal(torch.autograd.grad(loss, present), first)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("steps", [1, 4, 5, 7, 9])
def test_what_is_kept(precision, steps):
    """n edge arrays, or (n - 1) // 4; the rest is the same."""
    case = Case(NODES, EDGES, 32, steps=steps)
    t = leaves(case.tensors, torch.float32)

    def run(save_memory):
        return ops.processor(*t[:4], case.topology, t[4:8], t[8:12], case.steps, precision, save_memory)

    (many, _), (few, _) = kept_bytes(lambda: run(False)), kept_bytes(lambda: run(True))
    array, number = EDGES * 32 * 4, (steps - 1) // 4
    if precision == "fp32":
        assert many - few == (steps - number) * array
    else:
        assert many - few == (1 + steps - number) * array // 2


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("skip", [False, True])
def test_plain_torch_keeps_less_too(precision, skip):
    """Larger widths and other dtypes: the same gradients to the last bit."""
    for hidden, dtype in ((129, torch.float32), (32, torch.float64)):
        case = Case(NODES, EDGES, hidden, steps=5, skip=skip, start=True)
        many, expected = kept_bytes(lambda: results(case, precision, False, dtype=dtype))  # noqa: B023
        few, found = kept_bytes(lambda: results(case, precision, True, dtype=dtype))  # noqa: B023
        assert_equal(found, expected)
        assert few < many / 3


def test_plain_torch_has_second_derivatives():
    case = Case(4, 9, hidden=3, start=True, steps=2, seed=8)
    inputs = leaves(case.tensors, torch.float64)

    def penalty(save_memory):
        parts = inputs[4:8], inputs[8:12]
        x, e = reference.processor(*inputs[:4], *case.topology[:2], *parts, 2, save_memory=save_memory)
        (grad_e0,) = torch.autograd.grad(x.sum() + e.square().sum(), inputs[3], create_graph=True)
        return torch.autograd.grad(grad_e0.square().sum(), inputs[4])

    assert_equal(penalty(True), penalty(False))
    assert penalty(True)[0].abs().sum() > 0


def test_opcheck():
    case = Case(12, 70, hidden=32, steps=5)
    t = leaves(case.tensors, torch.float32)
    for precision in (0, 1):
        torch.library.opcheck(torch.ops.botan_fast.processor, (*t[:4], case.topology, t[4:], 5, True, precision, True))
    detached = case.tensors
    arguments = (*detached[:4], case.topology, detached[4:], 5)
    for save_memory in (False, True):
        x, e, *history = torch.ops.botan_fast.processor(*arguments, True, 0, save_memory)
        torch.library.opcheck(
            torch.ops.botan_fast.processor_backward, (*arguments, [x, *history], x, e, 0, save_memory)
        )


@pytest.fixture
def graph():
    positions = np.random.default_rng(0).random((90, 3)) * 4.3
    return bf.build_graph(positions, np.arange(90) % 2, np.full(3, 4.3))


@pytest.mark.parametrize("options", [{}, {"hidden_size": 20, "edge_node_skip": True}])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_model(graph, options, precision):
    torch.manual_seed(0)
    model = bf.BOTAN(num_steps=5, **options)

    def gradients(**keywords):
        node, edge = model(graph, precision, **keywords)
        return [node, edge, *torch.autograd.grad(node.square().sum() + edge.square().sum(), list(model.parameters()))]

    many, expected = kept_bytes(gradients)
    few, found = kept_bytes(lambda: gradients(save_memory=True))
    assert_equal(found, expected)
    assert few < 0.7 * many


@pytest.mark.parametrize("hidden", [20, 64])
def test_layer(graph, hidden):
    layer = bf.BOTANLayer(hidden)
    x, e = torch.randn(90, hidden), torch.randn(graph.num_edges, hidden)
    for found in (graph, graph.edge_index):
        pair = []
        for save_memory in (False, True):
            outputs = layer(x, e, x, e, found, save_memory=save_memory)
            loss = sum(o.square().sum() for o in outputs)
            pair.append([*outputs, *torch.autograd.grad(loss, list(layer.parameters()))])
        assert_equal(*pair)


@pytest.mark.parametrize("value", [1, None, "yes"])
def test_refused_values(graph, tiny_data, value):
    message = f"^save_memory = {re.escape(repr(value))}; give True or False$"
    layer, x, e = bf.BOTANLayer(32), torch.zeros(90, 32), torch.zeros(graph.num_edges, 32)
    for call in (
        lambda: bf.BOTAN(num_steps=0)(graph, save_memory=value),
        lambda: bf.BOTAN(hidden_size=8)(graph, save_memory=value),
        lambda: layer(x, e, x, e, graph, save_memory=value),
        lambda: bf.train(tiny_data / "train/*.npz", save_memory=value, progress=False),
    ):
        with pytest.raises(InputError, match=message):
            call()


@pytest.mark.parametrize("first", [False, True])
def test_resume_with_the_other_choice(tiny_data, tmp_path, first):
    """The run goes on with the same bits."""
    options = {"test": tiny_data / "test/*.npz", "progress": False, **TINY, "num_steps": 5}
    data = tiny_data / "train/*.npz"
    whole = bf.train(data, epochs=4, save_memory=first, **options)
    bf.train(data, epochs=2, save_memory=first, output=tmp_path, **options)
    resumed = bf.train(data, epochs=4, save_memory=not first, output=tmp_path, resume=True, **options)
    assert_equal(list(resumed.model.parameters()), list(whole.model.parameters()))
    losses = [[row["train_loss"] for row in result.history] for result in (resumed, whole)]
    assert losses[0] == losses[1]
    assert json.loads((tmp_path / "config.json").read_text())["settings"]["save_memory"] is not first


def test_runs_without_a_record_of_it_go_on(tiny_data, tmp_path):
    options = {"progress": False, "output": tmp_path, **TINY}
    bf.train(tiny_data / "train/*.npz", epochs=1, **options)
    file = tmp_path / "config.json"
    config = json.loads(file.read_text())
    del config["settings"]["save_memory"]
    file.write_text(json.dumps(config))
    assert len(bf.train(tiny_data / "train/*.npz", epochs=2, resume=True, save_memory=True, **options).history) == 2


def test_command(tiny_data, tmp_path, capsys):
    sizes = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]
    data = ["--train", str(tiny_data / "train/conf_1.npz"), "--epochs", "1", "--quiet", *sizes]
    assert main(["train", *data, "-o", str(tmp_path / "plain")]) == 0
    assert main(["train", *data, "-o", str(tmp_path / "saved"), "--save-memory"]) == 0
    capsys.readouterr()
    saved, plain = ((tmp_path / f"{name}/last.safetensors").read_bytes() for name in ("saved", "plain"))
    assert saved == plain
    assert json.loads((tmp_path / "saved/config.json").read_text())["settings"]["save_memory"] is True


def test_default_is_off():
    for function in (bf.train, bf.BOTAN.forward, bf.BOTANLayer.forward, ops.processor, reference.processor):
        assert inspect.signature(function).parameters["save_memory"].default is False
