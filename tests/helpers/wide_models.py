"""Models that use every option of inputs and outputs, graphs for them, and their definition in float64."""

import numpy as np
import torch

import botan_fast as bf
from botan_fast.model.scales import fit_inputs, fit_outputs

EVERYTHING = {
    "hidden_size": 32,
    "num_steps": 2,
    "node_inputs": ["type", "descriptors", "species", "energy"],
    "edge_inputs": ["radial", "vector", "inherent"],
    "input_columns": {"descriptors": 40},
    "num_species": 3,
    "radial": [0.5, 2.5, 7, 0.3],
    "num_outputs": 4,
    "scaled": True,
    "structure": {"pairs": "union", "potential": {"cutoff": 2.5, "sigma": [[1.0, 0.8], [0.8, 0.88]]}},
}


def make_graph(num_particles=60, dimensions=3, seed=0, num_species=3):
    rng = np.random.default_rng(seed)
    length = max((num_particles / 1.2) ** (1 / dimensions), 4.0)
    positions = rng.random((num_particles, dimensions)) * length
    graph = bf.build_graph(positions, rng.integers(0, num_species, num_particles), np.full(dimensions, length))
    arrays = {"energy": rng.normal(-6.9, 0.6, num_particles), "descriptors": rng.normal(3, 2, (num_particles, 40))}
    moved = graph.vectors.numpy() + rng.normal(0, 0.1, graph.vectors.shape)
    return graph.replace(
        arrays={name: torch.from_numpy(a.astype(np.float32)) for name, a in arrays.items()},
        inherent_vectors=torch.from_numpy(moved.astype(np.float32)),
    )


def make_model(seed=0, fitted=True, **options):
    torch.manual_seed(seed)
    model = bf.BOTAN(**{**EVERYTHING, **options})
    if fitted:
        graphs = [make_graph(dimensions=model.config["dimensions"], seed=s) for s in (7, 8)]
        fit_inputs(model, graphs)
        if model.config["scaled"]:
            g = torch.Generator().manual_seed(seed)
            k = model.config["num_outputs"]
            fit_outputs(model, [targets_of(graph, k, g) for graph in graphs])
    return model


def targets_of(graph, k, generator):
    node = torch.rand(graph.num_nodes, k, generator=generator) + graph.types[:, None]
    edge = torch.randn(graph.num_edges, k, generator=generator)
    return graph.types, graph.senders, graph.receivers, node, edge


def oracle(model, graph):
    """The whole model in float64 NumPy, from the state_dict, the configuration and the graph."""
    w = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}
    config = model.config
    types, send, recv = (t.numpy().astype(int) for t in (graph.types, graph.senders, graph.receivers))

    def mlp(name, x):
        for layer in (1, 2):
            x = np.maximum(x @ w[f"{name}.fc{layer}.weight"].T + w[f"{name}.fc{layer}.bias"], 0)
        return x @ w[f"{name}.fc3.weight"].T + w[f"{name}.fc3.bias"] if f"{name}.fc3.weight" in w else x

    def radial(vectors):
        first, last, number, width = config["radial"]
        centres = first + (last - first) * np.arange(number) / max(number - 1, 1)
        r = np.sqrt((vectors**2).sum(1))
        return np.exp(-((r[:, None] - centres) ** 2) / (2 * width**2))

    vectors = graph.vectors.double().numpy()
    nodes = {"type": types[:, None].astype(float), "species": np.eye(config["num_species"] or 1)[:, :][types % 3]}
    nodes |= {name: a.double().numpy().reshape(len(types), -1) for name, a in (graph.arrays or {}).items()}
    edges = {"vector": vectors, "radial": radial(vectors)}
    if graph.inherent_vectors is not None:
        inherent = graph.inherent_vectors.double().numpy()
        edges["inherent"] = np.hstack([inherent, radial(inherent)])
    x = np.hstack([nodes[name] for name in config["node_inputs"]])
    e = np.hstack([edges[name] for name in config["edge_inputs"]])
    if "node_input_mean" in w:
        x = (x - w["node_input_mean"]) / w["node_input_width"]
    if "edge_input_mean" in w:
        e = (e - w["edge_input_mean"]) / w["edge_input_width"]
    x = x0 = mlp("node_encoder", x)
    e = e0 = mlp("edge_encoder", e)
    for _ in range(config["num_steps"]):
        e = mlp("processor.edge_mlp", np.hstack([x[send], x[recv], e, e0]))
        total = np.zeros_like(x)
        np.add.at(total, recv, e)
        x = mlp("processor.node_mlp", np.hstack([x, x0, total]))
    shared = config["decoders"] == "shared"
    node = mlp("decoder" if shared else "node_decoder", x)
    edge = mlp("decoder" if shared else "edge_decoder", e) if config["decoders"] != "node" else None
    if config["scaled"]:
        for k in range(config["num_outputs"]):
            node[:, k] = w["node_output_mean"][k][types] + w["node_output_width"][k][types] * node[:, k]
            if edge is not None:
                m, s = (w[f"edge_output_{name}"][k][types[send], types[recv]] for name in ("mean", "width"))
                edge[:, k] = m + s * edge[:, k]
    if config["num_outputs"] == 1:
        node, edge = node[:, 0], None if edge is None else edge[:, 0]
    return torch.from_numpy(node), None if edge is None else torch.from_numpy(edge)
