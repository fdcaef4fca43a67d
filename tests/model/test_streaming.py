"""Prediction slab by slab: the bits of the ordinary way, whatever the system and the cut, in less memory."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.model import streaming
from botan_fast.model.slabs import Slabs, by_slab, cut
from botan_fast.model.streaming import predict_in_slabs, reporting, slabs_for
from tests.helpers import wide_models

CELL = [[24.0, 0.0, 0.0], [3.0, 5.0, 0.0], [-2.0, 1.0, 5.0]]


def system(box=(24.0, 4.5, 4.5), density=1.2, seed=0, within=1.0, **options):
    """A graph of random particles in a long box; with `within` < 1 in a part of it, so that no edge leads around."""
    rng = np.random.default_rng(seed)
    box = np.asarray(box)
    cell = np.diag(box) if box.ndim == 1 else box
    number = int(density * within * abs(np.linalg.det(cell)))
    fractions = rng.random((number, len(cell)))
    fractions[:, 0] *= within
    return bf.build_graph(fractions @ cell, rng.integers(0, 2, number), box, **options)


def network(seed=0, **options):
    torch.manual_seed(seed)
    return bf.BOTAN(**{"hidden_size": 32, "num_steps": 3, **options})


@torch.no_grad()
def assert_same_bits(model, graph, slabs, precision="fp32", raw=False):
    ordinary = model(graph, precision, raw=raw)
    node, edge = predict_in_slabs(model, graph, slabs, precision, raw)
    assert torch.equal(node, ordinary.node)
    assert (edge is None) == (ordinary.edge is None)
    assert edge is None or torch.equal(edge, ordinary.edge)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "tf32"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"hidden_size": 64, "num_steps": 7, "decoders": "shared"},
        {"hidden_size": 128, "num_steps": 2, "decoders": "node"},
        {"num_steps": 1},
        {"edge_node_skip": True, "self_edges": True},
        {"edge_inputs": ["radial", "vector"]},
    ],
    ids=str,
)
@pytest.mark.parametrize("per_cutoff", [1, 3])
def test_models(options, precision, per_cutoff):
    graph = system(self_edges=options.get("self_edges", False))
    slabs = cut(graph, per_cutoff)
    assert slabs.periodic
    assert len(slabs) == int(24.0 / (2.0 * (1 + 1e-4)) * per_cutoff)
    assert_same_bits(network(**options), graph, slabs, precision)


SYSTEMS = {
    "periodic": lambda: system(),
    "open": lambda: system(within=0.7),
    "triclinic": lambda: system(box=CELL),
    "2d": lambda: system(box=(40.0, 6.0)),
    "axis_1": lambda: system(box=(4.5, 24.0, 4.5)),
    "dilute": lambda: system(density=0.03),  # many parts, isolated particles, empty slabs
    "no_edges": lambda: system(density=0.02, cutoff=0.2),
    "one_particle": lambda: bf.build_graph([[0.5, 0.5, 0.5]], [0], [24.0, 4.5, 4.5]),
    "batch": lambda: bf.batch_graphs([system(seed=1), system(seed=2)]),
    "batch_of_unlike_boxes": lambda: bf.batch_graphs([system(seed=1), system(box=(22.0, 4.5, 4.5), within=0.7)]),
    "crowded_slab": lambda: bf.build_graph(
        np.random.default_rng(3).random((700, 3)) ** [3, 1, 1] * [24.0, 4.5, 4.5], np.zeros(700, int), [24.0, 4.5, 4.5]
    ),
}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", SYSTEMS)
def test_systems(name, precision):
    graph = SYSTEMS[name]()
    for per_cutoff in (1, 4):
        slabs = cut(graph, per_cutoff)
        assert sorted(slabs.order.tolist()) == list(range(graph.num_nodes))
        assert_same_bits(network(dimensions=graph.vectors.shape[1]), graph, slabs, precision)
    if name in ("periodic", "triclinic", "2d", "axis_1", "batch"):
        assert slabs.periodic
        assert slabs.reach <= 5
    if name == "open":
        assert not slabs.periodic
        assert slabs.slab_steps(3) == 3 * len(slabs)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("options", [{}, {"edge_node_skip": True}, {"decoders": "shared"}])
def test_a_width_between_those_of_the_kernels(options, precision):
    graph = system()
    assert_same_bits(network(hidden_size=24, **options), graph, cut(graph, 2), precision)


@pytest.mark.parametrize("number", [1, 2, 7, 40])
def test_any_cut(number):
    """Slabs that have nothing to do with places: edges reach all of them."""
    graph = system(box=(8.0, 4.5, 4.5))
    slab = torch.randint(number, (graph.num_nodes,), generator=torch.manual_seed(0)).int()
    assert_same_bits(network(), graph, by_slab(graph, slab, number))


def test_vectors_that_are_no_numbers_stay_so():
    graph = system()
    vectors = graph.vectors.clone()
    vectors[5], vectors[900, 0] = float("nan"), float("inf")
    graph, model = graph.replace(vectors=vectors), network()
    with torch.no_grad():
        expected = model(graph)
        node, edge = predict_in_slabs(model, graph, cut(graph, 2), "fp32", False)
    assert expected.node.isnan().any()
    torch.testing.assert_close(node, expected.node, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(edge, expected.edge, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("raw", [False, True])
def test_every_input_and_output(raw):
    graph = wide_models.make_graph(300)
    model = wide_models.make_model()
    slab = (torch.arange(300) % 6).int()
    slabs = by_slab(graph, slab, 6)
    with torch.no_grad():
        ordinary = model(graph, raw=raw)
        node, edge = predict_in_slabs(model, graph, slabs, "fp32", raw)
    # The last layer of several outputs is a product of torch, which may add up in another order for other shapes.
    assert node.shape == (300, 4)
    torch.testing.assert_close(node, ordinary.node, rtol=2e-6, atol=2e-6)
    torch.testing.assert_close(edge, ordinary.edge, rtol=2e-6, atol=2e-6)
    one = wide_models.make_model(num_outputs=1)
    assert_same_bits(one, graph, slabs, raw=raw)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_any_number_of_threads(threads):
    graph, model, before = system(), network(), torch.get_num_threads()
    with torch.no_grad():
        expected = model(graph)
    try:
        torch.set_num_threads(threads)
        node, edge = predict_in_slabs(model, graph, cut(graph, 2), "fp32", False)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(node, expected.node)
    assert torch.equal(edge, expected.edge)


def test_a_default_device_elsewhere():
    graph, model = system(), network()
    with torch.no_grad():
        expected = model(graph)
        with torch.device("meta"):
            node, edge = predict_in_slabs(model, graph, cut(graph, 2), "fp32", False)
    assert torch.equal(node, expected.node)
    assert torch.equal(edge, expected.edge)


# ---- when it is done -------------------------------------------------------------------------------------------


@pytest.fixture
def all_large(monkeypatch):
    monkeypatch.setattr(streaming, "LARGE", 0)


def counted(call):
    """The result of a call, and how many steps of slabs it told of."""
    seen = []
    with reporting(lambda done, total: seen.append((done, total))):
        result = call()
    assert [done for done, _ in seen] == [k for _, total in seen[:1] for k in range(1, total + 1)] * (
        len(seen) // seen[0][1] if seen else 0
    )
    return result, len(seen)


def test_large_systems_alone_have_slabs(monkeypatch):
    graph, model = system(box=(60.0, 4.5, 4.5)), network()
    with torch.no_grad():
        expected, steps = counted(lambda: model(graph))
        assert steps == 0
        monkeypatch.setattr(streaming, "LARGE", 0)
        found, steps = counted(lambda: model(graph))
    slabs = cut(graph)
    assert steps == slabs.slab_steps(3) == 3 * len(slabs) + 3 * slabs.reach
    assert torch.equal(found.node, expected.node)
    assert torch.equal(found.edge, expected.edge)


def test_the_ordinary_way_where_it_is_right(all_large):
    graph = system(box=(60.0, 4.5, 4.5))
    assert slabs_for(network(), graph) is None  # gradients may be asked for
    with torch.no_grad():
        assert slabs_for(network(), graph) is not None
        assert slabs_for(network(num_steps=0), graph) is None
        assert slabs_for(network(hidden_size=129), graph) is None
        assert slabs_for(network().double(), graph) is None
        assert slabs_for(network(), system(box=(8.0, 8.0, 8.0))) is None  # slabs would save nothing
        hooked = network()
        hooked.edge_encoder.register_forward_hook(lambda *_: None)
        assert slabs_for(hooked, graph) is None
        replaced = network()
        replaced.node_encoder = torch.nn.Sequential(replaced.node_encoder)
        replaced.node_encoder.fc1 = replaced.node_encoder[0].fc1
        assert slabs_for(replaced, graph) is None
        roomy = bf.build_graph(
            np.random.default_rng(0).random((400, 3)) * 8, np.zeros(400, int), [8.0] * 3, capacity=9**5
        )
        assert slabs_for(network(), roomy) is None


def test_rotations_of_an_ensemble(all_large, monkeypatch):
    graph = system(box=(60.0, 4.5, 4.5))
    ensemble = bf.Ensemble([network(0), network(1)], rotations=3)
    with torch.no_grad():
        found, steps = counted(lambda: ensemble(graph))
        monkeypatch.setattr(streaming, "LARGE", 1 << 40)
        expected = ensemble(graph)
    assert steps == 6 * cut(graph).slab_steps(3)
    assert torch.equal(found.node, expected.node)
    assert torch.equal(found.edge, expected.edge)


def test_a_rotated_graph_with_its_old_box_is_right(all_large):
    graph = system(box=(60.0, 4.5, 4.5)).rotate(torch.linalg.qr(torch.randn(3, 3, generator=torch.manual_seed(0)))[0])
    model = network()
    with torch.no_grad():
        found = model(graph).node
        assert torch.equal(found, predict_in_slabs(model, graph, cut(graph, 2), "fp32", False)[0])


def test_errors_are_those_of_the_ordinary_way(all_large):
    graph, model = system(box=(60.0, 4.5, 4.5)), network()
    wrong = graph.senders.clone()
    wrong[7] = (wrong[7] + 1) % graph.num_nodes
    with torch.no_grad():
        slabs = cut(graph)
        with pytest.raises(InputError, match="senders and their offsets disagree"):
            model(graph.replace(senders=wrong), slabs=slabs)
        wrong[7] = -1
        with pytest.raises(InputError, match=r"senders\[7\] = -1 is outside"):
            model(graph.replace(senders=wrong))
        with pytest.raises(InputError, match="precision = 'fp8'"):
            model(graph, "fp8")
        with pytest.raises(InputError, match=r"graph.arrays is None; this model reads 'energy'"):
            network(node_inputs=["type", "energy"])(graph)
        scaled = network(scaled=True, num_species=1)
        with pytest.raises(InputError, match="knows the species 0 to 0 alone"):
            scaled(graph)


# ---- the cut ---------------------------------------------------------------------------------------------------


def test_edges_reach_no_farther_than_told():
    graph = system(box=(30.0, 5.0, 5.0))
    for per_cutoff in (1, 2, 4):
        slabs = cut(graph, per_cutoff)
        number = len(slabs)
        slab = torch.empty(graph.num_nodes, dtype=torch.int64)
        for j in range(number):
            slab[slabs.order[slabs.offsets[j] : slabs.offsets[j + 1]]] = j
        apart = (slab[graph.senders] - slab[graph.receivers]).abs()
        apart = torch.minimum(apart, number - apart)
        assert int(apart.max()) == slabs.reach == per_cutoff
        counts = torch.bincount(slab[graph.receivers], minlength=number)
        assert slabs.edges == counts.tolist()


def test_most_edges_is_what_is_alive_at_a_time():
    slabs = Slabs(torch.empty(0), [0] * 11, list(range(1, 11)), reach=1, periodic=True)
    assert slabs.first(0, 3) == -2
    assert slabs.slab_steps(3) == 33
    assert slabs.most_edges(3) == 8 + 9 + 10
    assert slabs.most_edges(1) == 10


# ---- memory ----------------------------------------------------------------------------------------------------

PEAK = """
import sys, torch
import botan_fast as bf
from botan_fast.bench.synthetic import dense_liquid
from botan_fast.model import streaming
streaming.LARGE = int(sys.argv[1])
number, box = 12_500, [124.0, 9.17, 9.17]
torch.manual_seed(0)
graph = bf.build_graph(torch.rand(number, 3, dtype=torch.float64) * torch.tensor(box), torch.arange(number) % 2, box)
model = bf.BOTAN()
from botan_fast.bench.machine import peak_bytes
with torch.no_grad():
    model(bf.build_graph(torch.rand(99, 3) * 4.5, torch.zeros(99, dtype=int), 4.5))  # what torch loads on first use
    before = peak_bytes()
    model(graph)
print(peak_bytes() - before)
"""


def test_memory():
    """A box of 62 cutoffs: 7 of them at a time."""

    def peak(large):
        done = subprocess.run([sys.executable, "-c", PEAK, str(large)], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    in_slabs, ordinary = peak(0), peak(1 << 40)
    assert ordinary > 2 * 12_500 * 35 * 256  # e and c
    assert in_slabs < ordinary / 2
