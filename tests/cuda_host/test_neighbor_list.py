"""Neighbour lists and targets on CUDA through the host emulation, against those of the CPU, bit for bit."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import botan_fast as bf
from botan_fast.graph import build as graph_build
from botan_fast.graph import search_cuda
from botan_fast.graph.graph import INVALID, OVERFLOW
from botan_fast.graph.inputs import check_inputs
from tests.helpers.graph_checks import random_positions

TILTED_2D = np.array([[9.0, 0.0], [7.5, 5.0]])
TILTED_3D = np.array([[11.0, 0.0, 0.0], [9.0, 8.0, 0.0], [-8.0, 5.0, 6.0]])
FIELDS = ("senders", "receivers", "vectors", "row_ptr", "reverse", "types", "box", "graph_ptr")


def build(emulator, positions, box, cutoff=2.0, self_edges=False, graph_ptr=None, capacity=None, types=None, path=0):
    positions = torch.as_tensor(positions)
    types = np.arange(len(positions)) % 3 if types is None else types
    inputs = check_inputs(positions, box, cutoff, self_edges, graph_ptr, capacity, positions.device)
    return search_cuda.build(emulator, inputs, types, path)


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.numpy().tobytes() == b.numpy().tobytes()


def assert_same_graph(got, expected):
    assert got.cutoff == expected.cutoff
    assert got.self_edges == expected.self_edges
    for name in FIELDS:
        a, b = getattr(got, name), getattr(expected, name)
        assert (a is None and b is None) or same_bits(a, b), name


def check(emulator, positions, box, cutoff=2.0, self_edges=False, seeds=(0,), path=0):
    """The graph and the pairs of the kernels are those of the CPU, whatever the order of threads."""
    positions = np.asarray(positions)
    types = np.arange(len(positions)) % 3
    expected = bf.build_graph(positions, types, box, cutoff, self_edges)
    pairs = bf.neighbor_list("ijdDS", torch.as_tensor(positions), box, cutoff, self_edges)
    for seed in seeds:
        emulator.set_seed(seed)
        assert_same_graph(build(emulator, positions, box, cutoff, self_edges, path=path), expected)
        inputs = check_inputs(torch.as_tensor(positions), box, cutoff, self_edges, device=torch.device("cpu"))
        got = search_cuda.pairs(emulator, inputs, "ijdDS", path)
        assert all(same_bits(got[letter], value) for letter, value in zip("ijdDS", pairs, strict=True))
    return expected


# Of the search: all particles of a graph, cells by one block for each graph, cells by the whole grid.
BRUTE, BLOCK, GRID = 1, 2, 3
PATHS = pytest.mark.parametrize("path", [BRUTE, BLOCK, GRID])

BOXES = [
    ([4.0, 4.0, 4.0], 2.0, 60),  # exactly 2 * cutoff
    ([4.0, 5.9, 8.1], 2.0, 120),  # one, two and four cells
    ([6.1, 6.1, 6.1], 2.0, 120),
    ([13.0, 6.5, 8.7], 2.0, 300),  # six, three and four cells
    ([200.0, 200.0, 200.0], 1.0, 40),  # dilute: mostly empty receivers and cells
    ([4.0, 4.0], 2.0, 25),
    ([5.0, 17.0], 2.0, 80),
    ([30.0, 21.0], 1.3, 200),
    (TILTED_2D, 2.4, 60),
    (TILTED_2D * 3, 2.0, 150),
    (TILTED_3D, 1.7, 120),
    (TILTED_3D * 2, 1.6, 200),
    (np.diag([7.0, 6.0, 5.0]), 2.0, 100),
]


@pytest.mark.parametrize("self_edges", [False, True])
@PATHS
@pytest.mark.parametrize(("box", "cutoff", "number"), BOXES)
def test_edges(emulator, path, box, cutoff, number, self_edges):
    check(emulator, random_positions(number, box, len(box)), box, cutoff, self_edges, seeds=(0, 1), path=path)


@PATHS
@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_few_particles(emulator, path, number, dimensions):
    positions = np.full((number, dimensions), 0.5)
    positions[1:] += 0.9
    for self_edges in (False, True):
        check(emulator, positions, 4.0, 2.0, self_edges, path=path)


@pytest.mark.parametrize("path", [BLOCK, GRID])
@pytest.mark.parametrize("box", [4.0, 5.0, 7.0, 23.0])
def test_faces(emulator, path, box):
    """Particles on the upper face, one rounding below it, a hair below zero, and exactly half a box apart."""
    edge = [0.0, -1e-17, -0.0, 5e-324, np.nextafter(box, 0), box, -box, 0.5 * box]
    positions = np.array([[x, 1.0 + 0.11 * k, y] for k, (x, y) in enumerate((x, y) for x in edge[:4] for y in edge)])
    check(emulator, np.concatenate([positions, positions[:, [2, 0, 1]] + 0.003]), box, path=path)


@pytest.mark.parametrize("cutoff", [1.9, 1.3, 1.99999])
def test_box_of_twice_the_cutoff_at_the_far_side(emulator, cutoff):
    for x in (np.nextafter(cutoff, 9), np.nextafter(cutoff, 0), cutoff):
        check(emulator, np.array([[0.0, 0.0], [x, 0.0]]), 2 * cutoff, cutoff, path=BLOCK)


def test_the_decision_is_on_the_distance_itself(emulator):
    for d in np.random.default_rng(0).random((10, 2)):
        positions = np.array([[0.0, 0.0], d])
        cutoff = float(np.sqrt(d[0] * d[0] + d[1] * d[1]))
        assert check(emulator, positions, 10.0, cutoff).num_edges == 0
        assert check(emulator, positions, 10.0, float(np.nextafter(cutoff, 9))).num_edges == 2


@PATHS
@pytest.mark.parametrize("box", [[9.0, 6.5, 11.0], TILTED_3D])
def test_unwrapped_positions(emulator, path, box):
    wrapped = random_positions(150, box, 3)
    shifts = np.random.default_rng(1).integers(-40, 41, wrapped.shape)
    check(emulator, wrapped + shifts @ (np.diag(box) if np.ndim(box) == 1 else box), box, 1.7, path=path)


@PATHS
def test_dense_clusters(emulator, path):
    """Rows longer than those that are ordered in shared memory, of odd lengths; empty rows and cells beside them."""
    rng = np.random.default_rng(3)
    clusters = [
        10 + 0.3 * rng.standard_normal((150, 3)),
        30 + 0.2 * rng.standard_normal((130, 3)),
        rng.random((30, 3)) * 40,
    ]
    graph = check(emulator, rng.permutation(np.concatenate(clusters)), 40.0, path=path)
    degrees = graph.row_ptr.diff()
    assert degrees.max() > 128
    assert degrees.min() == 0
    assert (degrees == 129).any()


def test_brute_force_and_cells_meet_at_their_limit(emulator):
    """768 particles are searched by brute force, 769 with cells, without any change of the limits."""
    positions = random_positions(769, 9.0, 3)
    check(emulator, positions[:768], 9.0, 1.2)
    check(emulator, positions, 9.0, 1.2)


def test_more_particles_than_a_scan_tile(emulator):
    """4097 particles: row_ptr goes over two tiles, in the last block of the count."""
    check(emulator, random_positions(4097, 64.0, 2), 64.0, 1.0, path=BLOCK)


def test_large_path_without_changed_limits(emulator):
    """More particles than one block bins: the path of the grid as it is."""
    check(emulator, random_positions(8200, 90.0, 2), 90.0, 0.9)


def test_float32_positions_are_exact(emulator):
    check(emulator, random_positions(60, 7.0, 3).astype(np.float32), 7.0)


# ---- batches --------------------------------------------------------------------------------------------------------

SIZES = [0, 40, 1, 0, 90, 2, 17, 0]


@PATHS
@pytest.mark.parametrize("self_edges", [False, True])
def test_batches_with_a_box_each(emulator, path, self_edges):
    cells = [np.diag([5.0 + g, 6.5, 4.2]) if g % 2 else TILTED_3D * (1 + 0.1 * g) for g in range(len(SIZES))]
    parts = [random_positions(n, cell, 3, seed=g) for g, (n, cell) in enumerate(zip(SIZES, cells, strict=True))]
    positions, graph_ptr = np.concatenate(parts), np.cumsum([0, *SIZES])
    types = np.arange(len(positions)) % 3
    single = [
        bf.build_graph(p, types[a : a + len(p)], cell, 1.6, self_edges)
        for p, cell, a in zip(parts, cells, graph_ptr[:-1], strict=True)
    ]
    expected = bf.batch_graphs(single)
    assert_same_graph(bf.build_graph(positions, types, np.stack(cells), 1.6, self_edges, graph_ptr=graph_ptr), expected)
    for seed in (0, 1):
        emulator.set_seed(seed)
        assert_same_graph(build(emulator, positions, np.stack(cells), 1.6, self_edges, graph_ptr, path=path), expected)


def test_many_small_graphs_of_one_box(emulator):
    """More boxes than one launch takes as arguments."""
    number = 40
    positions = np.concatenate([random_positions(6, 4.5, 2, seed) for seed in range(number)])
    graph_ptr = np.arange(number + 1) * 6
    expected = bf.build_graph(positions, np.arange(6 * number) % 3, 4.5, graph_ptr=graph_ptr)
    assert expected.box.tolist() == [4.5, 4.5]
    assert_same_graph(build(emulator, positions, 4.5, graph_ptr=graph_ptr), expected)


@pytest.mark.parametrize("bad", [[0, 3], [1, 4], [0, 3, 2, 4], [4], [[0, 4]], [0.0, 4.0]])
def test_bad_graph_ptr(emulator, bad):
    for function in (
        build,
        lambda _, positions, box, graph_ptr: bf.build_graph(positions, [0] * 4, box, graph_ptr=graph_ptr),
    ):
        with pytest.raises(bf.BotanFastError, match="graph_ptr"):
            function(emulator, random_positions(4, 5.0, 2), 5.0, graph_ptr=bad)


def test_boxes_of_a_batch_must_fit(emulator):
    positions = random_positions(4, 5.0, 2)
    with pytest.raises(bf.BotanFastError, match=r"box has shape \(3, 2, 2\); for 2 graphs in 2 dimensions give"):
        build(emulator, positions, np.stack([np.eye(2) * 5] * 3), graph_ptr=[0, 2, 4])
    with pytest.raises(bf.BotanFastError, match=r"is smaller than 2 \* cutoff"):
        build(emulator, positions, np.stack([np.eye(2) * 5, np.eye(2) * 3]), graph_ptr=[0, 2, 4])


# ---- errors and capacity --------------------------------------------------------------------------------------------


@PATHS
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_positions_that_are_not_finite(emulator, path, value):
    positions = random_positions(50, 7.0, 3)
    positions[31, 1] = value
    messages = []
    for function in (build, lambda _, *arguments: bf.build_graph(arguments[0], [0] * 50, arguments[1])):
        with pytest.raises(bf.BotanFastError, match=r"positions\[31") as error:
            function(emulator, positions, 7.0)
        messages.append(str(error.value))
    assert messages[0] == messages[1]  # the CPU's own words
    graph = build(emulator, positions, 7.0, path=path, capacity=5000)
    assert graph.status[1] & INVALID
    assert (graph.row_ptr == 0).all()
    with pytest.raises(bf.BotanFastError, match="positions hold a number that is not finite"):
        graph.check()


@PATHS
@pytest.mark.parametrize("self_edges", [False, True])
def test_coincident_particles(emulator, path, self_edges):
    positions = random_positions(90, 7.0, 3)
    positions[77] = positions[20] + [7.0, 0.0, 0.0]
    positions[20, 0] = positions[77, 0] - 7.0  # exactly one box length
    with pytest.raises(bf.BotanFastError, match=r"positions\[20\] and positions\[77\] are the same point"):
        build(emulator, positions, 7.0, self_edges=self_edges, path=path)
    with pytest.raises(bf.BotanFastError, match=r"configuration 1 of graph_ptr: positions\[10\] and positions\[67\]"):
        build(emulator, positions, 7.0, self_edges=self_edges, graph_ptr=[0, 10, 90], path=path)
    graph = build(emulator, positions, 7.0, self_edges=self_edges, capacity=9000, path=path)
    with pytest.raises(bf.BotanFastError, match="two particles at one point"):
        graph.check()


@PATHS
def test_capacity(emulator, path):
    positions = random_positions(100, 7.0, 3)
    types = np.arange(100) % 3
    expected = bf.build_graph(positions, types, 7.0)
    number = expected.num_edges
    for capacity in (number, number + 1, number + 700):
        padded = bf.build_graph(positions, types, 7.0, capacity=capacity)  # what the CPU makes of it
        graph = build(emulator, positions, 7.0, path=path, capacity=capacity).check()
        assert graph.num_edges == capacity
        assert_same_graph(graph, padded)
        assert graph.status.tolist() == [number, 0]
        for name in ("senders", "receivers", "vectors", "reverse"):
            assert same_bits(getattr(graph, name)[:number], getattr(expected, name))
        assert graph.row_ptr.equal(expected.row_ptr)
        assert not graph.senders[number:].any()
        assert graph.reverse[number:].tolist() == list(range(number, capacity))


@PATHS
@pytest.mark.parametrize("missing", [1, 400, None])
def test_capacity_too_small(emulator, path, missing):
    """A graph without edges, and a status that says how many there are."""
    positions = random_positions(100, 7.0, 3)
    number = bf.build_graph(positions, np.zeros(100, int), 7.0).num_edges
    capacity = 0 if missing is None else number - missing
    graph = build(emulator, positions, 7.0, path=path, capacity=capacity)
    assert graph.status.tolist() == [number, OVERFLOW]
    assert not graph.row_ptr.any()
    assert not graph.vectors.any()
    assert graph.reverse.tolist() == list(range(capacity))
    for function in (graph.check, lambda: bf.build_graph(positions, [0] * 100, 7.0, capacity=capacity)):
        with pytest.raises(bf.BotanFastError, match=rf"capacity = {capacity} is smaller .* give at least {number}"):
            function()


@pytest.mark.parametrize("bad", [-1, 2.5, "many", True, 2**31])
def test_bad_capacity(bad):
    with pytest.raises(bf.BotanFastError, match=r"capacity = .* must be a number of edges"):
        bf.build_graph([[0.5, 0.5]], [0], 5.0, capacity=bad)


def test_graphs_with_a_capacity_are_not_batched():
    graph = bf.build_graph([[0.5, 0.5]], [0], 5.0, capacity=3)
    with pytest.raises(bf.BotanFastError, match=r"graphs\[0\] has a capacity"):
        bf.batch_graphs([graph])
    with pytest.raises(bf.BotanFastError, match="graph has a capacity"):
        bf.isoconfigurational_targets([[0.5, 0.5]], [[[0.5, 0.5]]], graph)


def test_core_refuses_bad_sizes(emulator):
    cells, graph_ptr = np.eye(3) * 5, np.array([0, 4])
    for number, dimensions, graphs, cutoff, message in (
        (4, 4, 1, 2.0, "dimensions = 4"),
        (-1, 3, 1, 2.0, "num_nodes = -1"),
        (2**31, 3, 1, 2.0, "give at most 2"),
        (5, 3, 1, 2.0, "graph_ptr must rise"),
        (4, 3, 0, 2.0, "num_graphs = 0"),
        (4, 3, 1, np.nan, "cutoff must be positive"),
    ):
        given = emulator.NeighborInput(
            0, number, dimensions, graph_ptr.ctypes.data, cells.ctypes.data, graphs, cutoff, False, 0
        )
        with pytest.raises(ValueError, match=message):
            emulator.neighbor_list_count(0, 0, given, 10, 0, 0, 0, 0)
    given = emulator.NeighborInput(0, 4, 3, graph_ptr.ctypes.data, cells.ctypes.data, 1, 2.0, False, 0)
    with pytest.raises(ValueError, match="neighbor_list: workspace_bytes = 0"):
        emulator.neighbor_list_count(0, 0, given, 10, 0, 0, 0, 0)
    with pytest.raises(ValueError, match="max_edges = -1"):
        emulator.neighbor_list_count(0, 0, given, -1, 0, 0, 0, 0)


def test_types_on_the_device(emulator):
    """Their values are looked at with the status; the words are those of the CPU."""
    positions = random_positions(5, 6.0, 2)
    good = torch.tensor([0, 1, 2, 0, 1], dtype=torch.int32)
    graph = build(emulator, positions, 6.0, types=good)
    assert_same_graph(graph, bf.build_graph(positions, good, 6.0))
    good[0] = 7
    assert graph.types.tolist() == [0, 1, 2, 0, 1]  # a copy
    for bad in (torch.tensor([0, 1, -2, 0, 1]), torch.zeros(4, dtype=torch.int64), torch.zeros(5), torch.ones(5) > 0):
        with pytest.raises(bf.BotanFastError) as expected:
            bf.build_graph(positions, bad, 6.0)
        with pytest.raises(bf.BotanFastError) as found:
            build(emulator, positions, 6.0, types=bad)
        assert str(found.value) == str(expected.value)
    graph = build(emulator, positions, 6.0, types=torch.tensor([0, 1, -2, 0, 1]), capacity=40)
    with pytest.raises(bf.BotanFastError, match="types hold a negative number"):
        graph.check()


def test_public_functions_with_cuda(emulator, monkeypatch):
    """build_graph and neighbor_list as they run on a device, which the emulation stands in for."""
    positions, types = random_positions(70, 7.0, 3), np.arange(70) % 2
    calls = [
        lambda: bf.build_graph(positions, types, 7.0, 2.0, True),
        lambda: bf.build_graph(positions, types, 7.0, graph_ptr=[0, 30, 70], device="cpu"),
        lambda: bf.build_graph(torch.from_numpy(positions), types, 7.0, capacity=9000),
    ]
    before, pairs = [call() for call in calls], bf.neighbor_list("ijdDS", positions, 7.0, 2.0)
    monkeypatch.setattr(graph_build, "kernels_for", lambda device: emulator)
    monkeypatch.setattr(graph_build, "_cuda_device", lambda positions, device: torch.device("cpu"))
    for call, expected in zip(calls, before, strict=True):
        assert_same_graph(call(), expected)
    found = bf.neighbor_list("jdDSi", torch.from_numpy(positions), 7.0, 2.0)
    for a, b in zip(found, (*pairs[1:], pairs[0]), strict=True):
        assert same_bits(a, torch.from_numpy(b))


def test_positions_that_are_no_positions(emulator):
    for bad in (torch.zeros(3), torch.zeros(3, 4), torch.zeros(3, 2, dtype=torch.complex64)):
        with pytest.raises(bf.BotanFastError, match="positions"):
            build(emulator, bad, 6.0, types=[0, 0, 0])


# ---- properties -----------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32 - 1),
    number=st.integers(2, 60),
    dimensions=st.sampled_from([2, 3]),
    self_edges=st.booleans(),
    tilted=st.booleans(),
    path=st.sampled_from([BRUTE, BLOCK, GRID]),
)
def test_random_configurations(emulator, seed, number, dimensions, self_edges, tilted, path):
    rng = np.random.default_rng(seed)
    cell = np.diag(4.0 + rng.exponential(4.0, dimensions))
    positions = rng.normal(0, 1, (number, dimensions)) * np.diag(cell) * rng.choice([0.05, 1.0])
    if tilted:
        cell += np.tril(rng.normal(0, 2, cell.shape), -1)
    cutoff = min(2.0, 0.499 / np.linalg.norm(np.linalg.inv(cell), axis=0).max())
    box = cell if tilted else np.diag(cell)
    check(emulator, positions, box, cutoff, self_edges, seeds=(seed % 1000,), path=path)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 30), min_size=1, max_size=6), st.integers(3, 16))
def test_points_of_a_grid(emulator, seed, sizes, cutoff):
    """Many pairs at exactly the cutoff, faces and half boxes; batches of any sizes, with and without cells."""
    rng = np.random.default_rng(seed)
    box = np.array([40, 32, 64]) / 8
    points = np.stack(np.meshgrid(*[np.arange(0, 40, 2)] * 3), -1).reshape(-1, 3) / 8
    parts = [rng.choice(points[(points < box).all(1)], n, replace=False) for n in sizes]
    positions, graph_ptr = np.concatenate(parts), np.cumsum([0, *sizes])
    types = np.arange(len(positions)) % 3
    expected = bf.build_graph(positions, types, box, cutoff / 8, graph_ptr=graph_ptr)
    for path in (BRUTE, BLOCK, GRID):
        assert_same_graph(build(emulator, positions, box, cutoff / 8, graph_ptr=graph_ptr, path=path), expected)
