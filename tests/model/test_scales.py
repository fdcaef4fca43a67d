"""Means and widths of inputs and outputs: their fit to data and their use."""

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.model.inputs import edge_columns, node_columns
from botan_fast.model.scales import fit_inputs, fit_outputs
from tests.helpers.checkpoints import same
from tests.helpers.wide_models import make_graph, make_model, targets_of


def test_input_scales_are_those_of_all_rows():
    graphs = [make_graph(n, seed=n) for n in (30, 1, 60)]
    model = make_model(fitted=False)
    fit_inputs(model, iter(graphs))
    nodes = np.vstack([node_columns(model.config, g).double().numpy() for g in graphs])
    edges = np.vstack([edge_columns(model.config, g, torch.float64).numpy() for g in graphs])
    plain_nodes, plain_edges = [0, 41, 42, 43], [7, 8, 9, 10, 11, 12]
    for rows, mean, width, plain in (
        (nodes, model.node_input_mean, model.node_input_width, plain_nodes),
        (edges, model.edge_input_mean, model.edge_input_width, plain_edges),
    ):
        expected_mean, expected_width = rows.mean(0), rows.std(0)
        expected_mean[plain], expected_width[plain] = 0, 1
        np.testing.assert_allclose(mean, expected_mean, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(width, expected_width, rtol=1e-6)
    again = make_model(fitted=False)
    fit_inputs(again, graphs)
    assert same(again, model)


def test_constant_columns_have_width_one():
    graphs = [
        g.replace(arrays={"temperature": torch.full((g.num_nodes,), 0.44)}) for g in (make_graph(9), make_graph())
    ]
    model = bf.BOTAN(node_inputs=["temperature"])
    fit_inputs(model, graphs)
    assert model.node_input_mean.tolist() == [np.float32(0.44)]
    assert model.node_input_width.tolist() == [1.0]


def test_a_function_of_distances_that_no_pair_has_is_not_blown_up():
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(4)] * 3), -1).reshape(-1, 3) * 1.1
    graph = bf.build_graph(grid + rng.normal(0, 0.02, grid.shape), np.zeros(64, int), 4.4)
    closest = float(graph.vectors.norm(dim=1).min())
    model = bf.BOTAN(edge_inputs=["radial"], radial=[closest - 0.9, 2.0, 2, 0.1])
    columns = edge_columns(model.config, graph, torch.float64)
    assert 0 < columns[:, 0].std() < 1e-6
    fit_inputs(model, [graph])
    assert model.edge_input_width[0] == np.float32(1e-3)
    assert model.edge_input_width[1] == pytest.approx(float(columns[:, 1].std(correction=0)), rel=1e-6)


def test_fit_refuses_numbers_that_are_not_finite():
    graph = make_graph()
    graph.arrays["energy"][3] = float("nan")
    with pytest.raises(InputError, match=r"graphs\[1\]: input 'energy' holds a number that is not finite"):
        fit_inputs(make_model(fitted=False), [make_graph(), graph])


def test_the_default_model_has_nothing_to_fit():
    model = bf.BOTAN()
    fit_inputs(model, [make_graph()])
    assert not list(model.buffers())
    with pytest.raises(InputError, match="model has scaled = False"):
        fit_outputs(model, [])


@pytest.mark.parametrize("outputs", [1, 4])
def test_output_scales_by_species(outputs):
    graphs = [make_graph(n, seed=n) for n in (30, 60)]
    generator = torch.Generator().manual_seed(0)
    targets = [targets_of(g, outputs, generator) for g in graphs]
    for _, send, recv, _, edge in targets:  # as real targets: one number for each pair
        g = graphs[0] if len(edge) == graphs[0].num_edges else graphs[1]
        edge[g.reverse[send > recv].long()] = edge[send > recv]
    targets[0][3][3] = float("nan")  # a particle without a target
    model = make_model(fitted=False, num_outputs=outputs, num_species=4)
    one = [(t, s, r, n[:, 0], e[:, 0]) for t, s, r, n, e in targets] if outputs == 1 else targets
    fit_outputs(model, one)
    types = np.concatenate([t[0].numpy() for t in targets])
    node = np.vstack([t[3].double().numpy() for t in targets])
    edge = np.vstack([t[4].double().numpy() for t in targets])
    ends = np.hstack([np.stack([t[0][t[1].long()].numpy(), t[0][t[2].long()].numpy()]) for t in targets])
    for k in range(outputs):
        for a in range(4):
            chosen = node[types == a, k]
            chosen = chosen[~np.isnan(chosen)]
            expected = (chosen.mean(), chosen.std()) if len(chosen) else (0, 1)  # species 3 is in no data
            np.testing.assert_allclose(model.node_output_mean[k, a], expected[0], rtol=1e-6)
            np.testing.assert_allclose(model.node_output_width[k, a], expected[1], rtol=1e-6)
            for b in range(4):
                chosen = edge[(ends[0] == a) & (ends[1] == b), k]
                expected = (chosen.mean(), chosen.std()) if len(chosen) else (0, 1)
                np.testing.assert_allclose(model.edge_output_mean[k, a, b], expected[0], rtol=1e-5, atol=1e-6)
                np.testing.assert_allclose(model.edge_output_width[k, a, b], expected[1], rtol=1e-5)
    assert torch.equal(model.edge_output_mean, model.edge_output_mean.mT)


@pytest.mark.parametrize("outputs", [1, 4])
def test_scaled_targets_are_in_units_of_raw_outputs(outputs):
    model, graph = make_model(num_outputs=outputs), make_graph(40)
    with torch.no_grad():
        prediction, raw = model(graph), model(graph, raw=True)
        node, edge = model.scale_targets(graph, prediction.node, prediction.edge)
    torch.testing.assert_close(node, raw.node, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(edge, raw.edge, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(prediction.node, raw.node)
    assert model.scale_targets(graph, None, None) == (None, None)
    plain = bf.BOTAN(num_steps=1)
    assert plain.scale_targets(graph, prediction.node, None)[0] is prediction.node
    for a, b in zip(plain(graph), plain(graph, raw=True), strict=True):
        assert torch.equal(a, b)


def test_fit_outputs_refuses():
    model, graph = make_model(fitted=False), make_graph(40)
    types, senders, receivers, node, edge = targets_of(graph, 4, torch.Generator())
    with pytest.raises(InputError, match=r"targets\[0\]: node targets have shape \(40, 3\); the model needs \(40, 4\)"):
        fit_outputs(model, [(types, senders, receivers, node[:, :3], edge)])
    with pytest.raises(InputError, match=r"targets\[0\]: types holds more than the num_species = 3"):
        fit_outputs(model, [(types + 1, senders, receivers, node, edge)])
