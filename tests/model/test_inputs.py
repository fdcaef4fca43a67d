"""Inputs and outputs of the model's configuration: the definition, columns, and what a graph may lack."""

import pytest
import torch

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.model.inputs import edge_columns, node_columns
from tests.helpers.random_graphs import relative_l2
from tests.helpers.wide_models import EVERYTHING, make_graph, make_model, oracle


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_outputs": 1},
        {"decoders": "shared", "hidden_size": 64},
        {"decoders": "node"},
        {"scaled": False, "num_outputs": 2, "decoders": "shared"},
        {"hidden_size": 12},
        {"dimensions": 2, "edge_inputs": ["inherent"], "node_inputs": ["species"], "input_columns": {}},
        {"node_inputs": ["type"], "input_columns": {}, "edge_inputs": ["vector"], "num_species": 3},
    ],
)
def test_model_is_the_definition(options):
    model = make_model(**options)
    graph = make_graph(40, dimensions=options.get("dimensions", 3))
    node, edge = oracle(model, graph)
    with torch.no_grad():
        prediction = model(graph)
    assert prediction.node.shape == node.shape
    assert relative_l2(prediction.node, node) < 1e-5
    if edge is None:
        assert prediction.edge is None
    else:
        assert prediction.edge.shape == edge.shape
        assert relative_l2(prediction.edge, edge) < 1e-5


def test_gradients_are_those_of_float64():
    model, graph = make_model(), make_graph(40)
    exact = make_model().double()
    factors = [torch.randn(n, 4, generator=torch.Generator().manual_seed(n)) for n in (graph.num_nodes, 7)]
    for m in (model, exact):
        prediction = m(graph)
        dtype = prediction.node.dtype
        edge_factor = factors[1].to(dtype).repeat(graph.num_edges // 7 + 1, 1)[: graph.num_edges]
        ((prediction.node * factors[0].to(dtype)).mean() + (prediction.edge * edge_factor).mean()).backward()
    for (name, a), b in zip(model.named_parameters(), exact.parameters(), strict=True):
        assert relative_l2(a.grad, b.grad) < 2e-5, name
    assert not any(b.requires_grad for b in model.buffers())


def test_precision_bf16_runs_every_part():
    model, graph = make_model(), make_graph(40)
    with torch.no_grad():
        exact, rounded = model(graph, raw=True), model(graph, "bf16", raw=True)
    for a, b in zip(exact, rounded, strict=True):
        assert 1e-5 < relative_l2(b, a.double()) < 0.1


def test_batch_is_the_union():
    graphs, model = [make_graph(n, seed=n) for n in (33, 60, 1, 47)], make_model()
    with torch.no_grad():
        together, apart = model(bf.batch_graphs(graphs)), [model(g) for g in graphs]
    torch.testing.assert_close(together.node, torch.cat([p.node for p in apart]), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(together.edge, torch.cat([p.edge for p in apart]), rtol=1e-5, atol=1e-6)


def test_radial_columns_do_not_turn():
    graph = make_graph()
    q = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
    model = make_model(edge_inputs=["radial"], input_columns={"descriptors": 40})
    with torch.no_grad():
        a, b = model(graph), model(graph.rotate(q))
    torch.testing.assert_close(a.node, b.node, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(a.edge, b.edge, rtol=1e-4, atol=1e-4)


def test_gradient_reaches_positions():
    """The gradient with respect to the vectors, through the Gaussians, against differences in float64."""
    model, graph = make_model().double(), make_graph(30)
    vectors = graph.vectors.double().requires_grad_()
    model(
        graph.replace(vectors=vectors, inherent_vectors=None) if False else graph.replace(vectors=vectors)
    ).node.sum().backward()
    h, k = 1e-5, 11
    for axis in range(3):
        values = []
        for sign in (1, -1):
            moved = graph.vectors.double().clone()
            moved[k, axis] += sign * h
            with torch.no_grad():
                values.append(model(graph.replace(vectors=moved)).node.sum())
        slope = (values[0] - values[1]) / (2 * h)
        torch.testing.assert_close(vectors.grad[k, axis], slope, rtol=1e-4, atol=1e-7)


def test_inside_compile():
    model, graph = make_model(), make_graph(40)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    for a, b in zip(compiled(graph), model(graph), strict=True):
        torch.testing.assert_close(a, b)


def test_columns_in_the_order_of_the_names():
    graph = make_graph(20)
    config = bf.BOTAN(**EVERYTHING).config
    nodes, edges = node_columns(config, graph), edge_columns(config, graph)
    assert nodes.shape == (20, 1 + 40 + 3 + 1)
    assert torch.equal(nodes[:, 0], graph.types.float())
    assert torch.equal(nodes[:, 1:41], graph.arrays["descriptors"])
    assert torch.equal(nodes[:, 41:44].argmax(1), graph.types)
    assert torch.equal(nodes[:, 44], graph.arrays["energy"])
    assert edges.shape == (graph.num_edges, 7 + 3 + 3 + 7)
    assert torch.equal(edges[:, 7:10], graph.vectors)
    assert torch.equal(edges[:, 10:13], graph.inherent_vectors)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"arrays": None},
            r"graph.arrays is None; this model reads 'descriptors' \(columns: 40\): load",
        ),
        ({"arrays": {"energy": torch.zeros(60)}}, "graph.arrays has energy alone; this model reads 'descriptors'"),
        ({"inherent_vectors": None}, "graph.inherent_vectors is None; this model reads 'inherent': .*with_structure"),
        ({"types": torch.full((60,), 3)}, "graph.types holds 3; the model has num_species = 3"),
        ({"types": torch.full((60,), -1)}, "graph.types holds -1; the model has num_species = 3"),
    ],
)
def test_model_names_what_a_graph_lacks(change, message):
    with pytest.raises(InputError, match=message):
        make_model()(make_graph().replace(**change))


def test_model_names_wrong_columns():
    graph = make_graph()
    narrow = {**graph.arrays, "descriptors": graph.arrays["descriptors"][:, :39]}
    with pytest.raises(InputError, match=r"graph.arrays\['descriptors'\] has 39 columns; this model reads 40"):
        make_model()(graph.replace(arrays=narrow))
