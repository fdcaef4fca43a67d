"""LinearBaseline: its formula, its file, and what it refuses."""

import json

import numpy as np
import pytest
import safetensors.torch
import torch

import botan_fast as bf
from botan_fast.errors import CheckpointError, InputError
from botan_fast.quantities import FIRST_SHELL


def graph_of(number=60, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.random((number, 3)) * 4.5
    graph = bf.build_graph(x, rng.integers(0, 2, number), [4.5] * 3)
    quenched = graph.vectors + 0.05 * torch.randn(graph.vectors.shape, generator=torch.Generator().manual_seed(seed))
    quenched = (quenched - quenched[graph.reverse.long()]) / 2  # the opposite edge has the opposite vector
    return graph.replace(arrays={"d": torch.tensor(rng.normal(2, 3, (number, 4)), dtype=torch.float32)},
                         inherent_vectors=quenched)  # fmt: skip


def filled(outputs=1, **options):
    options = {"edge_inputs": ["radial", "inherent"], "input_columns": {"d": 4}, "num_species": 2} | options
    model = bf.LinearBaseline(node_inputs=["d"], num_outputs=outputs, **options)
    generator = torch.Generator().manual_seed(1)
    for name, tensor in model.state_dict().items():
        tensor.copy_(torch.rand(tensor.shape, generator=generator) + (0.5 if name.endswith("width") else -0.5))
    if model.config["decoders"] == "separate":
        for tensor in (model.edge_node_weight, model.edge_weight, model.edge_bias):
            tensor.copy_((tensor + tensor.transpose(2, 3)) / 2)
    return model


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_formula(outputs):
    """Particle by particle and pair by pair, in float64."""
    graph, model = graph_of(), filled(outputs)
    w = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}
    x = (graph.arrays["d"].double().numpy() - w["node_input_mean"]) / w["node_input_width"]
    types = graph.types.numpy()
    node = np.array([w["node_weight"][:, s] @ row + w["node_bias"][:, s] for row, s in zip(x, types, strict=True)])
    centres = np.linspace(0.75, 2.0, 18)
    edge = np.empty((graph.num_edges, outputs))
    for k in range(graph.num_edges):
        i, j = int(graph.senders[k]), int(graph.receivers[k])
        r, q = (float(np.linalg.norm(v[k].double())) for v in (graph.vectors, graph.inherent_vectors))
        terms = [*np.exp(-((r - centres) ** 2) / (2 * 0.08**2)), *np.exp(-((q - centres) ** 2) / (2 * 0.08**2)), q - r]
        place = (slice(None), int(r >= FIRST_SHELL), types[i], types[j])
        edge[k] = w["edge_node_weight"][place] @ (x[i] + x[j]) + w["edge_weight"][place] @ terms + w["edge_bias"][place]
    found = model(graph)
    assert found.node.shape == ((60, 3) if outputs == 3 else (60,))
    np.testing.assert_allclose(found.node.numpy().reshape(60, -1), node, rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(found.edge.numpy().reshape(graph.num_edges, -1), edge, rtol=2e-5, atol=5e-5)


def test_both_directions_of_a_pair_and_every_orientation_are_the_same():
    graph, model = graph_of(), filled()
    edge = model(graph).edge
    torch.testing.assert_close(edge, edge[graph.reverse.long()], rtol=1e-6, atol=1e-6)
    turned = graph.rotate(torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(2)))[0])
    torch.testing.assert_close(model(turned).edge, edge, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", [{}, {"decoders": "node"}, {"edge_inputs": ["vector"]}, {"outputs": 2}])
def test_saved_and_loaded(options, tmp_path):
    model = filled(**options)
    bf.save_model(model, tmp_path / "m.safetensors")
    again = bf.load_model(tmp_path / "m.safetensors")
    assert isinstance(again, bf.LinearBaseline)
    assert again.config == model.config
    for one, two in zip(model(graph_of()), again(graph_of()), strict=True):
        assert (one is None and two is None) or torch.equal(one, two)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_species": 0}, "num_species"),
        ({"decoders": "shared"}, "decoders"),
        ({"kind": "square"}, "kind"),
        ({"hidden_size": 8}, "hidden_size"),
        ({"input_columns": {"d": 5}}, "shape"),
        ({"num_outputs": 10**9}, "num_outputs"),
    ],
)
def test_files_of_strangers(change, message, tmp_path):
    model = filled()
    bf.save_model(model, tmp_path / "m.safetensors")
    content = (tmp_path / "m.safetensors").read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])["__metadata__"]
    header["config"] = json.dumps(json.loads(header["config"]) | change)
    (tmp_path / "bad.safetensors").write_bytes(safetensors.torch.save(model.state_dict(), header))
    with pytest.raises(CheckpointError, match=message):
        bf.load_model(tmp_path / "bad.safetensors")


def test_refuses():
    with pytest.raises(InputError, match="decoders"):
        bf.LinearBaseline(decoders="shared")
    with pytest.raises(InputError, match="num_species = 0"):
        bf.LinearBaseline(num_species=0)
    with pytest.raises(InputError, match="reads 'd'"):
        filled()(graph_of().replace(arrays=None))
    with pytest.raises(InputError, match="inherent_vectors is None"):
        filled()(graph_of().replace(inherent_vectors=None))
    with pytest.raises(InputError, match="types holds 1"):
        filled(num_species=1)(graph_of())
