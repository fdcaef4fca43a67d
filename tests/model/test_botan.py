"""BOTAN and BOTANLayer: the definition, any directed graph, symmetries, batches, compilation."""

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.ops import reference
from tests.helpers.random_graphs import relative_l2


def make_graph(num_particles=90, dimensions=3, seed=0, **options):
    rng = np.random.default_rng(seed)
    length = max((num_particles / 1.2) ** (1 / dimensions), 4.0)
    positions = rng.random((num_particles, dimensions)) * length
    return bf.build_graph(positions, rng.integers(0, 2, num_particles), np.full(dimensions, length), **options)


def make_model(seed=0, **options):
    torch.manual_seed(seed)
    return bf.BOTAN(**options)


def by_definition(model, graph):
    """DESIGN's equations, written out in float64 from the state_dict alone, edge by edge and node by node."""
    w = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}

    def relu(z):
        return np.maximum(z, 0)

    def mlp(name, x):
        hidden = relu(
            w[f"{name}.fc2.weight"] @ relu(w[f"{name}.fc1.weight"] @ x + w[f"{name}.fc1.bias"]) + w[f"{name}.fc2.bias"]
        )
        if f"{name}.fc3.weight" in w:
            return (w[f"{name}.fc3.weight"] @ hidden + w[f"{name}.fc3.bias"])[0]
        return hidden

    config = model.config
    x0 = [mlp("node_encoder", np.array([float(t)])) for t in graph.types]
    e0 = [mlp("edge_encoder", v) for v in graph.vectors.double().numpy()]
    pairs = list(zip(graph.senders.tolist(), graph.receivers.tolist(), strict=True))
    x, e = x0, e0
    for _ in range(config["num_steps"]):
        skip = lambda s, r: [x0[s], x0[r]] if config["edge_node_skip"] else []  # noqa: E731
        e = [
            mlp("processor.edge_mlp", np.concatenate([x[s], x[r], e[k], e0[k], *skip(s, r)]))
            for k, (s, r) in enumerate(pairs)
        ]
        sums = [np.zeros_like(x0[0]) for _ in x0]
        for k, (_, r) in enumerate(pairs):
            sums[r] = sums[r] + e[k]
        x = [mlp("processor.node_mlp", np.concatenate([x[i], x0[i], sums[i]])) for i in range(len(x0))]
    shared = config["decoders"] == "shared"
    node = torch.tensor([mlp("decoder" if shared else "node_decoder", v) for v in x], dtype=torch.float64)
    if config["decoders"] == "node":
        return node, None
    return node, torch.tensor([mlp("decoder" if shared else "edge_decoder", v) for v in e], dtype=torch.float64)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"decoders": "shared", "hidden_size": 32},
        {"decoders": "node", "edge_node_skip": True, "self_edges": True},
        {"hidden_size": 12, "num_steps": 2},
        {"dimensions": 2, "num_steps": 1, "hidden_size": 128},
        {"num_steps": 0},
    ],
)
def test_model_is_the_definition(options):
    model = make_model(**options)
    graph = make_graph(24, options.get("dimensions", 3), self_edges=options.get("self_edges", False))
    with torch.no_grad():
        prediction = model(graph)
        node, edge = by_definition(model, graph)
    assert relative_l2(prediction.node, node) < 1e-5
    if edge is None:
        assert prediction.edge is None
    else:
        assert relative_l2(prediction.edge, edge) < 1e-5


def test_sizes_without_a_fast_path_give_the_same_result():
    """A model of 48 features, embedded in one of 64 by zeros, is the same function."""
    small, large = make_model(hidden_size=48), make_model(hidden_size=64)
    for (name, s), (_, big) in zip(small.named_parameters(), large.named_parameters(), strict=True):
        with torch.no_grad():
            big.zero_()
            blocks = s.shape[1] // 48 if s.ndim == 2 and s.shape[1] % 48 == 0 else 0
            if blocks > 1:
                for b in range(blocks):
                    big[: s.shape[0], b * 64 : b * 64 + 48] = s[:, b * 48 : (b + 1) * 48]
            else:
                big[tuple(slice(0, n) for n in s.shape)] = s
        assert name
    graph = make_graph()
    a, b = small(graph), large(graph)
    assert relative_l2(a.node, b.node.double()) < 1e-5
    assert relative_l2(a.edge, b.edge.double()) < 1e-5
    a.node.square().mean().backward()
    b.node.square().mean().backward()
    fast = large.processor.edge_mlp.fc2.weight.grad[:48, :48]
    assert relative_l2(fast, small.processor.edge_mlp.fc2.weight.grad.double()) < 1e-5


def test_particle_permutation():
    rng = np.random.default_rng(3)
    length, number = 4.4, 80
    positions, types = rng.random((number, 3)) * length, rng.integers(0, 2, number)
    order = rng.permutation(number)
    box = np.full(3, length)
    model = make_model()
    with torch.no_grad():
        a = model(bf.build_graph(positions, types, box)).node
        b = model(bf.build_graph(positions[order], types[order], box)).node
    torch.testing.assert_close(a[torch.from_numpy(order)], b, rtol=1e-5, atol=1e-6)


def test_batch_is_the_union():
    graphs = [make_graph(60, seed=1), make_graph(90, seed=2), make_graph(33, seed=3)]
    model = make_model()
    with torch.no_grad():
        together = model(bf.batch_graphs(graphs))
        apart = [model(g) for g in graphs]
    torch.testing.assert_close(together.node, torch.cat([p.node for p in apart]), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(together.edge, torch.cat([p.edge for p in apart]), rtol=1e-6, atol=1e-7)


def test_no_edges_and_no_particles():
    model = make_model()
    for number in (0, 1):
        graph = bf.build_graph(np.zeros((number, 3)), np.zeros(number, int), [5.0, 5.0, 5.0])
        prediction = model(graph)
        assert prediction.node.shape == (number,)
        assert prediction.edge.shape == (0,)
        prediction.node.sum().backward()


@pytest.mark.parametrize("hidden", [64, 24])
@pytest.mark.parametrize("skip", [False, True])
def test_layer_takes_any_directed_graph(hidden, skip):
    """Edges in any order, one-way edges, repeated edges and self edges; e follows the caller's order."""
    g = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    layer = bf.BOTANLayer(hidden, edge_node_skip=skip)
    edge_index = torch.randint(30, (2, 260), generator=g)
    inputs = [torch.randn(n, hidden, generator=g) for n in (30, 260, 30, 260)]
    fast_in = [t.clone().requires_grad_() for t in inputs]
    x, e = layer(*fast_in, edge_index)
    exact_in = [t.double().requires_grad_() for t in inputs]
    double = bf.BOTANLayer(hidden, edge_node_skip=skip).double()
    double.load_state_dict(layer.state_dict())
    weights = double.edge_mlp.weights(), double.node_mlp.weights()
    exact = reference.processor(*exact_in, *edge_index, *weights, 1)
    assert relative_l2(x, exact[0]) < 1e-5
    assert relative_l2(e, exact[1]) < 1e-5
    factor = torch.randn(260, hidden, generator=g)
    (x.sum() + (e * factor).sum()).backward()
    (exact[0].sum() + (exact[1] * factor.double()).sum()).backward()
    for f, r in zip(fast_in, exact_in, strict=True):
        assert relative_l2(f.grad, r.grad) < 1e-5
    for f, r in zip(layer.parameters(), double.parameters(), strict=True):
        assert relative_l2(f.grad, r.grad) < 1e-5


def test_layer_on_a_graph_is_the_layer_on_its_edge_index():
    graph, layer = make_graph(), bf.BOTANLayer(64)
    x, e = torch.randn(graph.num_nodes, 64), torch.randn(graph.num_edges, 64)
    by_graph = layer(x, e, x, e, graph)
    by_index = layer(x, e, x, e, graph.edge_index)
    for a, b in zip(by_graph, by_index, strict=True):
        assert torch.equal(a, b)


def test_steps_of_the_layer_are_the_model():
    """Seven calls of BOTANLayer between encoder and decoder are BOTAN."""
    model, graph = make_model(), make_graph()
    with torch.no_grad():
        x0 = x = model.node_encoder(graph.types[:, None].float())
        e0 = e = model.edge_encoder(graph.vectors)
        for _ in range(7):
            x, e = model.processor(x, e, x0, e0, graph)
        torch.testing.assert_close(model.node_decoder(x), model(graph).node, rtol=1e-5, atol=1e-7)


def test_inside_compile():
    model, graph = make_model(hidden_size=32, num_steps=2), make_graph(40)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    eager_prediction, prediction = model(graph), compiled(graph)
    torch.testing.assert_close(prediction.node, eager_prediction.node)
    torch.testing.assert_close(prediction.edge, eager_prediction.edge)
    (prediction.node.square().mean() + prediction.edge.square().mean()).backward()
    found = [p.grad.clone() for p in model.parameters()]
    model.zero_grad(set_to_none=True)
    (eager_prediction.node.square().mean() + eager_prediction.edge.square().mean()).backward()
    for a, b in zip(found, (p.grad for p in model.parameters()), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_size": 0}, "hidden_size = 0"),
        ({"hidden_size": 64.0}, "hidden_size = 64.0"),
        ({"num_steps": -1}, "num_steps = -1"),
        ({"decoders": "both"}, "decoders = 'both'; it must be one of"),
        ({"dimensions": 4}, "dimensions = 4"),
        ({"cutoff": 0.0}, "cutoff = 0.0"),
    ],
)
def test_model_refuses(options, message):
    with pytest.raises(InputError, match=message):
        bf.BOTAN(**options)


def test_model_refuses_another_graph():
    with pytest.raises(InputError, match="graph has 2 dimensions; the model has dimensions = 3"):
        bf.BOTAN()(make_graph(40, 2))
    with pytest.raises(InputError, match="self_edges = True; the model has self_edges = False"):
        bf.BOTAN()(make_graph(40, self_edges=True))


@pytest.mark.parametrize(
    ("shapes", "edge_index", "message"),
    [
        ((4, 3, 4, 3), torch.tensor([[0, 1, 2], [1, 2, 4]]), r"edge_index holds 4, outside \[0, 4\)"),
        ((4, 3, 4, 3), torch.tensor([[0, -1, 2], [1, 2, 3]]), "edge_index holds -1"),
        ((4, 2, 4, 3), torch.tensor([[0, 1, 2], [1, 2, 3]]), r"e has shape \(2, 64\).*need \(3, 64\)"),
        ((4, 3, 5, 3), torch.tensor([[0, 1, 2], [1, 2, 3]]), r"x0 has shape \(5, 64\)"),
        ((4, 3, 4, 3), torch.ones(2, 3), "float32; pass a botan_fast.Graph"),
        ((4, 3, 4, 3), [[0, 1], [1, 0]], "graph is list"),
    ],
)
def test_layer_refuses(shapes, edge_index, message):
    with pytest.raises(InputError, match=message):
        bf.BOTANLayer(64)(*(torch.ones(rows, 64) for rows in shapes), edge_index)
