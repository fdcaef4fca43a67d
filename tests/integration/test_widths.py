"""Models of any width: the same numbers as unpadded, through modules, files, training, evaluation and commands."""

import copy

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.errors import InputError
from tests.helpers.processor_case import open_or_closed
from tests.helpers.random_graphs import relative_l2
from tests.helpers.wide_models import make_graph, make_model

OPTIONS = [
    {},
    {"decoders": "shared"},
    {"decoders": "node"},
    {"edge_node_skip": True, "self_edges": True},
    {"num_outputs": 3},
]


def graph_for(model):
    rng = np.random.default_rng(0)
    positions, types = rng.random((90, 3)) * 4.3, np.arange(90) % 2
    return bf.build_graph(positions, types, [4.3] * 3, self_edges=model.config["self_edges"])


def build(hidden, **options):
    torch.manual_seed(0)
    model = bf.BOTAN(hidden_size=hidden, num_steps=2, **options)
    open_or_closed(model.parameters())  # no ReLU near its kink
    return model


def results(model, graph, **options):
    """Predictions and the gradients of all weights, of a loss whose parts do not cancel."""
    model.zero_grad()
    outputs = [part for part in model(graph, **options) if part is not None]
    generator = torch.Generator().manual_seed(5)
    sum((part * (1 + torch.randn(part.shape, generator=generator))).sum() for part in outputs).backward()
    return [*(o.detach() for o in outputs), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]


def assert_equal(found, expected):
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("hidden", [1, 7, 24, 48, 100])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_model(hidden, options):
    model = build(hidden, **options)
    graph = graph_for(model)
    found, exact = results(model, graph), results(copy.deepcopy(model).double(), graph)
    assert {tuple(p.shape) for p in model.parameters()} >= {(hidden,), (hidden, hidden)}
    for a, b in zip(found, exact, strict=True):
        assert a.shape == b.shape
        assert relative_l2(a, b) < 1e-5 if b.norm() > 0 else a.abs().sum() == 0


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("hidden", [24, 48, 100])
def test_padded_once_or_part_by_part(hidden, precision):
    """With a hook every part pads for itself, and the hook sees H features: the same bits."""
    model, seen = build(hidden), []
    graph = graph_for(model)
    once = results(model, graph, precision=precision)
    hook = model.node_encoder.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    assert_equal(results(model, graph, precision=precision), once)
    hook.remove()
    assert seen == [(90, hidden)]
    model.edge_encoder = type("Own", (bf.MLP,), {})(3, hidden)  # a part of somebody else
    model.edge_encoder.load_state_dict(build(hidden).edge_encoder.state_dict())
    assert_equal(results(model, graph, precision=precision)[:2], once[:2])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("skip", [False, True])
def test_save_memory(precision, skip):
    model = build(24, edge_node_skip=skip)
    graph = graph_for(model)
    assert_equal(
        results(model, graph, precision=precision, save_memory=True), results(model, graph, precision=precision)
    )


@pytest.mark.parametrize("hidden", [24, 48])
def test_without_gradients(hidden):
    model = build(hidden)
    graph = graph_for(model)
    with torch.no_grad():
        quiet = model(graph)
    assert_equal(quiet, [p.detach() for p in model(graph)])


@pytest.mark.parametrize("hidden", [24, 48])
@pytest.mark.parametrize("skip", [False, True])
def test_a_layer(hidden, skip):
    """Of any edge_index in any order."""
    g = torch.Generator().manual_seed(0)
    layer = bf.BOTANLayer(hidden, edge_node_skip=skip)
    open_or_closed(layer.parameters())
    state = [torch.randn(n, hidden, generator=g, requires_grad=True) for n in (20, 70, 20, 70)]
    index = torch.randint(20, (2, 70), generator=g)
    found = layer(*state, index)
    exact = copy.deepcopy(layer).double()(*(t.double() for t in state), index)
    for a, b in zip(found, exact, strict=True):
        assert relative_l2(a, b) < 1e-5
    gradients = torch.autograd.grad(sum(t.square().sum() for t in found), state)
    expected = torch.autograd.grad(sum(t.square().sum() for t in exact), state)
    for a, b in zip(gradients, expected, strict=True):
        assert relative_l2(a, b) < 1e-5


def test_inputs_and_outputs_of_every_kind():
    """32 input columns of one kind or another beside H = 24, several outputs, and scales."""
    model, graph = make_model(hidden_size=24), make_graph()
    exact = copy.deepcopy(model).double()
    for a, b in zip(model(graph), exact(graph), strict=True):
        assert relative_l2(a, b) < 1e-4


def test_inside_compile():
    model = build(24)
    graph = graph_for(model)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    assert_equal(results(compiled, graph), results(model, graph))


def test_a_replaced_layer_of_another_width_is_refused():
    model = build(24)
    model.edge_encoder = bf.MLP(3, 20)
    with pytest.raises(InputError, match=r"e0 has shape \(\d+, 20\); beside x0 \(90, 24\)"):
        model(graph_for(model))


@pytest.mark.parametrize("hidden", [24, 48])
def test_from_training_to_a_file(tiny_data, tmp_path, hidden, recwarn):
    """A run, a resumed one, its scores, and a file that holds H as it is."""
    data, options = tiny_data / "train/*.npz", {"hidden_size": hidden, "num_steps": 2, "progress": False}
    whole = bf.train(data, epochs=2, **options)
    bf.train(data, epochs=1, output=tmp_path / "run", **options)
    resumed = bf.train(data, epochs=2, output=tmp_path / "run", resume=True, **options)
    assert_equal(whole.model.state_dict().values(), resumed.model.state_dict().values())
    assert whole.history[-1]["train_loss"] < whole.history[0]["train_loss"]
    bf.save_model(whole.model, tmp_path / "model")
    loaded = bf.load_model(tmp_path / "model")
    assert loaded.config["hidden_size"] == hidden
    assert_equal(whole.model.state_dict().values(), loaded.state_dict().values())
    scores = [bf.evaluate(m, tiny_data / "test/*.npz") for m in (loaded, copy.deepcopy(loaded).double())]
    assert scores[0]["node_loss"] == pytest.approx(scores[1]["node_loss"], rel=1e-4)
    assert not [w for w in recwarn if issubclass(w.category, bf.BotanFastWarning)]
