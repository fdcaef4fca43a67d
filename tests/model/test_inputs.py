"""Inputs and outputs of the model's configuration: columns, scales, several outputs, and their way through a file."""

import json

import numpy as np
import pytest
import safetensors.torch
import torch

import botan_fast as bf
from botan_fast.errors import CheckpointError, InputError
from botan_fast.model.checkpoint import read_metadata
from botan_fast.model.config import DEFAULTS, check_config, state_shapes, stored_config
from botan_fast.model.inputs import edge_columns, node_columns
from botan_fast.model.scales import fit_inputs, fit_outputs
from tests.helpers.checkpoints import refused, same
from tests.helpers.random_graphs import relative_l2

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


# ---- the default model is that of before ---------------------------------------------------------------------------


def test_default_model_has_the_tensors_of_before():
    config = {"hidden_size": 16, "num_steps": 2, "decoders": "separate", "dimensions": 3, "edge_node_skip": False}
    config |= {"self_edges": False, "cutoff": 2.0, "node_target": "S"}
    model = bf.BOTAN(16, 2)
    assert stored_config(model.config) == config
    names = [f"{part}.{layer}" for part in ("node_encoder", "edge_encoder") for layer in ("fc1", "fc2")]
    names += [f"processor.{part}.{layer}" for part in ("edge_mlp", "node_mlp") for layer in ("fc1", "fc2")]
    names += [f"{part}.fc{layer}" for part in ("node_decoder", "edge_decoder") for layer in (1, 2, 3)]
    assert list(model.state_dict()) == [f"{name}.{kind}" for name in names for kind in ("weight", "bias")]
    assert list(state_shapes(config)) == list(model.state_dict())


def test_a_default_file_is_one_that_earlier_versions_read(tmp_path):
    bf.save_model(bf.BOTAN(16, 2), tmp_path / "m")
    header = json.loads(header_of(tmp_path / "m")["config"])
    assert set(header) == set(bf.BOTAN(16, 2).config) - (set(DEFAULTS) - {"node_target"})
    assert header_of(tmp_path / "m")["format_version"] == "1"
    bf.save_model(bf.BOTAN(16, 2, node_target="R"), tmp_path / "m")
    assert header_of(tmp_path / "m")["format_version"] == "2"


# ---- files ---------------------------------------------------------------------------------------------------------


def header_of(path):
    with safetensors.safe_open(path, "pt") as opened:
        return opened.metadata()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"decoders": "shared"},
        {"decoders": "node", "dimensions": 2},
        *(
            {**DEFAULTS, name: EVERYTHING[name], **({"num_species": 3} if name == "scaled" else {})}
            for name in ("edge_inputs", "num_species", "radial", "num_outputs", "scaled", "structure")
        ),
        {**DEFAULTS, "node_inputs": ["density"]},
    ],
)
def test_every_option_goes_through_a_file(tmp_path, options):
    model = make_model(fitted=False, **options)
    g = torch.Generator().manual_seed(0)
    for buffer in model.buffers():
        buffer.copy_(torch.rand(buffer.shape, generator=g) + 0.5)
    assert {name: tuple(t.shape) for name, t in model.state_dict().items()} == state_shapes(model.config)
    assert list(model.state_dict()) == list(state_shapes(model.config))
    bf.save_model(model, tmp_path / "m")
    again = bf.load_model(tmp_path / "m")
    assert again.config == model.config
    assert same(again, model)
    assert header_of(tmp_path / "m")["format_version"] == "3"
    assert read_metadata(tmp_path / "m")["config"] == model.config
    bf.save_model(again, tmp_path / "n")
    assert (tmp_path / "m").read_bytes() == (tmp_path / "n").read_bytes()


def test_configuration_is_plain_data():
    model = bf.BOTAN(node_inputs=("species",), edge_inputs=("radial",), num_species=2, structure={"a": (1, 2)})
    assert json.loads(json.dumps(model.config)) == model.config
    assert model.config["node_inputs"] == ["species"]
    assert model.config["structure"] == {"a": [1, 2]}
    assert check_config(model.config) == model.config


def deep(levels):
    value = 1
    for _ in range(levels):
        value = {"a": value}
    return value


WRONG = [
    ("node_inputs", [], "list of 1 to 64 different names"),
    ("node_inputs", "type", "list of 1 to 64 different names"),
    ("node_inputs", ["type", "type"], "different names"),
    ("node_inputs", ["type", 3], "different names"),
    ("node_inputs", ["a\n"], "different names"),
    ("node_inputs", ["a" * 201], "different names"),
    ("node_inputs", [f"a{k}" for k in range(65)], "different names"),
    ("node_inputs", [["a"]], "different names"),
    ("edge_inputs", ["type"], "among vector, radial, inherent"),
    ("edge_inputs", [], "among vector"),
    ("input_columns", {"descriptors": 0}, "dictionary of names in node_inputs"),
    ("input_columns", {"descriptors": 4097}, "numbers of columns"),
    ("input_columns", {"descriptors": True}, "numbers of columns"),
    ("input_columns", {"descriptors": 1.0}, "numbers of columns"),
    ("input_columns", {"other": 3}, "names in node_inputs"),
    ("input_columns", {"type": 3}, "names in node_inputs"),
    ("input_columns", [1], "dictionary"),
    ("num_species", -1, "non-negative integer up to 1000"),
    ("num_species", 1001, "non-negative integer up to 1000"),
    ("num_species", True, "non-negative integer"),
    ("radial", [0.75, 2.0, 18], "list of four"),
    ("radial", [0.75, 2.0, 18.0, 0.1], "list of four"),
    ("radial", [2.0, 0.75, 18, 0.1], "list of four"),
    ("radial", [0.75, 2.0, 10**6, 0.1], "list of four"),
    ("radial", [0.75, 2.0, 18, 0.0], "list of four"),
    ("radial", [0.75, float("nan"), 18, 0.1], "list of four"),
    ("radial", [0.75, 10**400, 18, 0.1], "list of four"),
    ("num_outputs", 0, "positive integer up to 1000"),
    ("num_outputs", 10**9, "positive integer up to 1000"),
    ("scaled", 1, "true or false"),
    ("structure", [], "plain dictionary"),
    ("structure", deep(9), "plain dictionary"),
    ("structure", {"a": [0] * 10_001}, "plain dictionary"),
    ("structure", {"a": "b" * 201}, "plain dictionary"),
    ("structure", {"a\x1b": 1}, "plain dictionary"),
    ("structure", {"a": float("inf")}, "plain dictionary"),
    ("structure", {"a": 10**30}, "plain dictionary"),
]


@pytest.mark.parametrize(("name", "value", "reason"), WRONG)
def test_wrong_values_are_refused_as_arguments_and_in_files(tmp_path, name, value, reason):
    if name != "scaled":  # an argument is taken as bool(scaled), as edge_node_skip is
        with pytest.raises(InputError, match=rf"^{name} = .*it must be .*{reason}"):
            bf.BOTAN(**{**EVERYTHING, name: value})
    model = bf.BOTAN(**EVERYTHING)
    header = {"format": "botan_fast", "format_version": "3", "botan_fast_version": "0", "metadata": "{}"}
    header["config"] = json.dumps({**model.config, name: value})
    safetensors.torch.save_file(model.state_dict(), tmp_path / "m", header)
    text = refused(tmp_path / "m")
    assert f"entry {name} = " in text
    assert reason in text
    assert len(text) < 500


def test_a_very_deep_structure_is_refused(tmp_path):
    header = {"format": "botan_fast", "format_version": "3", "botan_fast_version": "0", "metadata": "{}"}
    config = json.dumps({**bf.BOTAN(**EVERYTHING).config, "structure": "HERE"})
    for levels in (500, 100_000):
        header["config"] = config.replace('"HERE"', '{"a":' * levels + "1" + "}" * levels)
        safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / "m", header)
        assert "has a wrong configuration" in refused(tmp_path / "m")


@pytest.mark.parametrize("reader", [{"node_inputs": ["species"], "input_columns": {}}, {"scaled": True}])
def test_species_need_their_number(tmp_path, reader):
    with pytest.raises(InputError, match=r"num_species = 0, but .* needs the number of species; give num_species"):
        bf.BOTAN(**reader)


def test_sizes_are_compared_before_tensors_are_read(tmp_path):
    model = make_model()
    state = model.state_dict()
    header = {"format": "botan_fast", "format_version": "3", "botan_fast_version": "0", "metadata": "{}"}
    header["config"] = json.dumps(model.config)
    for name, shape in (("edge_output_width", (4, 3, 2)), ("node_input_mean", (1,)), ("node_decoder.fc3.bias", (5,))):
        safetensors.torch.save_file({**state, name: torch.ones(shape)}, tmp_path / "m", header)
        assert f"tensor '{name}' has shape {shape}" in refused(tmp_path / "m")
    del state["node_input_width"]
    safetensors.torch.save_file(state, tmp_path / "m", header)
    assert "tensor 'node_input_width' of shape (45,) is missing" in refused(tmp_path / "m")


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["node_input_width", "edge_output_width", "edge_input_mean", "node_output_mean"])
def test_scales_that_are_none_are_refused(tmp_path, name, value):
    model = make_model()
    getattr(model, name).view(-1)[-1] = value
    bf.save_model(model, tmp_path / "m")
    if name.endswith("mean") and np.isfinite(value):
        assert same(bf.load_model(tmp_path / "m"), model)
    else:
        assert f"tensor '{name}' holds something else than" in refused(tmp_path / "m")


def test_a_reader_of_before_refuses_new_files_and_new_entries_need_no_reader(tmp_path):
    """A file of version 1 with new entries never came from this program; it is read as what it says."""
    model = make_model()
    header = {"format": "botan_fast", "format_version": "4", "botan_fast_version": "9", "metadata": "{}"}
    header["config"] = json.dumps(model.config)
    safetensors.torch.save_file(model.state_dict(), tmp_path / "m", header)
    with pytest.raises(CheckpointError, match="has format_version = 4"):
        bf.load_model(tmp_path / "m")


# ---- columns and refusals ------------------------------------------------------------------------------------------


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


# ---- scales --------------------------------------------------------------------------------------------------------


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
