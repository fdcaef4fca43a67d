"""Isoconfigurational targets against their definition."""

import doctest

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import botan_fast as bf
from botan_fast.physics import targets as targets_module
from tests.helpers import brute_force
from tests.helpers.graph_checks import random_positions

BOXES = {
    "cubic": 6.0,
    "orthorhombic": np.array([5.0, 6.5, 9.0]),
    "tilted": np.array([[11.0, 0.0, 0.0], [9.0, 8.0, 0.0], [-8.0, 5.0, 6.0]]),
    "square": np.array([6.0, 8.0]),
    "tilted 2D": np.array([[9.0, 0.0], [7.5, 5.0]]),
}


def configuration(box, num_nodes=60, num_runs=5, spread=1.0, seed=0, **options):
    """Random positions, runs that moved by about `spread`, and the graph."""
    rng = np.random.default_rng(seed)
    cell = brute_force.as_cell(box, 3 if np.ndim(box) == 0 else len(box))
    initial = rng.random((num_nodes, len(cell))) @ cell
    runs = initial + spread * rng.standard_normal((num_runs, *initial.shape))
    return initial, runs, bf.build_graph(initial, np.zeros(num_nodes, int), box, **options)


def check(initial, runs, graph, box, reach=2):
    targets = bf.isoconfigurational_targets(initial, runs, graph)
    assert targets.propensity.dtype == targets.pair_change.dtype == torch.float32
    assert targets.num_runs == len(runs)
    senders, receivers = graph.edge_index.numpy()
    propensity, change = brute_force.targets(initial, runs, box, senders, receivers, reach)
    np.testing.assert_allclose(targets.propensity, propensity, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(targets.pair_change, change, rtol=1e-6, atol=1e-6)
    assert torch.equal(targets.pair_change[graph.reverse], targets.pair_change)
    return targets


@pytest.mark.parametrize("num_runs", [1, 7, 8, 9, 33])
@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES.keys())
def test_targets(box, num_runs):
    initial, runs, graph = configuration(box, num_runs=num_runs, spread=0.4)
    check(initial, runs, graph, box)


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES.keys())
def test_pairs_that_part_beyond_half_the_box(box):
    """At time t a pair may be anywhere: in a tilted box rounding alone would not find the nearest image."""
    initial, runs, graph = configuration(box, spread=20.0)
    check(initial, runs, graph, box, reach=4)


def test_strongly_tilted_cell():
    """The image that rounding finds in this cell is several cells away from the nearest one."""
    square = np.array([[6.0, 0.0], [0.0, 6.0]])
    tilted = np.array([[6.0, 0.0], [2.0, 6.0]])
    for cell, far in ((square, np.array([[1, 5], [0, 1]])), (tilted, np.array([[1, -4], [0, 1]]))):
        initial, runs, graph = configuration(cell, num_nodes=40, spread=10.0)
        expected = bf.isoconfigurational_targets(initial, runs, graph)
        skewed = graph.replace(box=torch.from_numpy(far @ cell))  # the same lattice, other vectors
        found = bf.isoconfigurational_targets(initial, runs, skewed)
        np.testing.assert_allclose(found.pair_change, expected.pair_change, atol=1e-6)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_cell_reduction(dimensions):
    """Reduced cells span the same lattice, and no small combination is shorter than the vectors."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        cell = rng.normal(size=(dimensions, dimensions)) * 5
        skew = np.eye(dimensions)
        for _ in range(4):
            a, b = rng.permutation(dimensions)[:2]
            skew[a] += rng.integers(-3, 4) * skew[b]
        reduced = targets_module.reduce_cell(skew @ cell)
        change = reduced @ np.linalg.inv(skew @ cell)
        np.testing.assert_allclose(change, np.rint(change), atol=1e-6)
        assert abs(abs(np.linalg.det(change)) - 1) < 1e-6
        grid = np.stack(np.meshgrid(*[np.arange(-2, 3)] * dimensions), -1).reshape(-1, dimensions)
        lengths = np.linalg.norm(grid @ reduced, axis=1)
        norms = np.linalg.norm(reduced, axis=1)
        for k in range(dimensions):  # Minkowski: |v| >= |b_k| for every v with a coefficient of 1 at k or beyond
            uses = np.abs(grid[:, k:]).max(1) >= 1
            assert lengths[uses & (np.gcd.reduce(grid[:, k:], axis=1) == 1)].min() >= norms[k] * (1 - 1e-9)


def test_self_edges_change_by_nothing():
    initial, runs, graph = configuration(6.0, self_edges=True)
    targets = check(initial, runs, graph, 6.0)
    loops = graph.senders == graph.receivers
    assert loops.sum() == graph.num_nodes
    assert (targets.pair_change[loops] == 0).all()
    plain = bf.isoconfigurational_targets(initial, runs, bf.build_graph(initial, np.zeros(60, int), 6.0))
    assert torch.equal(targets.pair_change[~loops], plain.pair_change)
    assert torch.equal(targets.propensity, plain.propensity)


def test_no_motion():
    initial, _, graph = configuration(6.0)
    targets = bf.isoconfigurational_targets(initial, np.repeat(initial[None], 3, 0), graph)
    assert (targets.propensity == 0).all()
    assert targets.pair_change.abs().max() < 1e-7


def test_unwrapped_displacements_count_in_full():
    """A particle that crossed the box twice has moved by two box lengths; its pairs see the nearest image."""
    initial, _, graph = configuration(6.0)
    runs = initial[None] + 12.0
    targets = bf.isoconfigurational_targets(initial, runs, graph)
    np.testing.assert_allclose(targets.propensity, 12 * np.sqrt(3), rtol=1e-6)
    assert targets.pair_change.abs().max() < 1e-6


def test_few_particles():
    for num_nodes in (0, 1, 2):
        initial = np.full((num_nodes, 3), 0.5)
        initial[1:] += 0.5
        graph = bf.build_graph(initial, np.zeros(num_nodes, int), 5.0)
        runs = initial + np.arange(3)[:, None, None] * [[0.1, 0.0, 0.0]]
        targets = check(initial, runs, graph, 5.0)
        assert targets.propensity.shape == (num_nodes,)
        assert targets.pair_change.shape == (graph.num_edges,)


def test_input_kinds_agree():
    initial, runs, graph = configuration(6.0)
    runs = runs.astype(np.float32)
    expected = bf.isoconfigurational_targets(initial, runs.astype(np.float64), graph)
    for other in (runs, torch.from_numpy(runs), np.asfortranarray(runs)):
        found = bf.isoconfigurational_targets(torch.from_numpy(initial), other, graph)
        assert torch.equal(found.propensity, expected.propensity)
        assert torch.equal(found.pair_change, expected.pair_change)


def test_threads_change_nothing():
    before = torch.get_num_threads()
    initial, runs, graph = configuration(13.0, num_nodes=2500, num_runs=11)
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(bf.isoconfigurational_targets(initial, runs, graph))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert torch.equal(other.propensity, results[0].propensity)
        assert torch.equal(other.pair_change, results[0].pair_change)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(BOXES)), st.booleans())
def test_rotations_and_reflections_change_nothing(seed, name, reflect):
    """Everything turns together, the cell included; the graph of the turned configuration has the same edges."""
    initial, runs, graph = configuration(BOXES[name], num_nodes=25, num_runs=3, spread=1.5, seed=seed)
    dimensions = initial.shape[1]
    rotation, upper = np.linalg.qr(np.random.default_rng(seed).standard_normal((dimensions, dimensions)))
    rotation *= np.sign(np.diag(upper))
    if reflect:
        rotation[:, 0] *= -1
    cell = brute_force.as_cell(BOXES[name], dimensions) @ rotation
    turned = bf.build_graph(initial @ rotation, np.zeros(25, int), cell)
    if not torch.equal(turned.edge_index, graph.edge_index):  # only a pair within rounding of the cutoff may differ
        distances = bf.neighbor_list("d", initial, BOXES[name], 2.0 + 1e-9)
        assert (np.abs(distances - 2.0) < 1e-9).any()
        return
    before = bf.isoconfigurational_targets(initial, runs, graph)
    after = bf.isoconfigurational_targets(initial @ rotation, runs @ rotation, turned)
    np.testing.assert_allclose(after.propensity, before.propensity, rtol=1e-6)
    np.testing.assert_allclose(after.pair_change, before.pair_change, atol=2e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_particles_is_a_name(seed):
    initial, runs, graph = configuration(6.0, num_nodes=40, seed=seed)
    order = np.random.default_rng(seed).permutation(40)
    permuted = bf.build_graph(initial[order], np.zeros(40, int), 6.0)
    before = bf.isoconfigurational_targets(initial, runs, graph)
    after = bf.isoconfigurational_targets(initial[order], runs[:, order], permuted)
    np.testing.assert_array_equal(after.propensity, before.propensity[order])
    matrix, permuted_matrix = np.zeros((40, 40)), np.zeros((40, 40))
    matrix[graph.receivers, graph.senders] = before.pair_change
    permuted_matrix[permuted.receivers, permuted.senders] = after.pair_change
    np.testing.assert_array_equal(permuted_matrix, matrix[np.ix_(order, order)])


INITIAL, RUNS, GRAPH = configuration(6.0, num_nodes=10)
BAD = [
    ({"trajectories": RUNS[:0]}, "trajectories has shape (0, 10, 3): no run; give at least one"),
    ({"trajectories": RUNS[0]}, "trajectories has shape (10, 3); graph needs (R, 10, 3)"),
    ({"trajectories": RUNS[:, :9]}, "trajectories has shape (5, 9, 3); graph needs (R, 10, 3)"),
    ({"trajectories": RUNS[..., :2]}, "trajectories has shape (5, 10, 2); graph needs (R, 10, 3)"),
    ({"trajectories": np.where(RUNS[3, 2, 1] == RUNS, np.nan, RUNS)}, "trajectories[3, 2, 1] = nan is not finite"),
    ({"trajectories": np.full((1, 10, 3), np.inf, np.float32)}, "trajectories[0, 0, 0] = inf is not finite"),
    ({"trajectories": None}, "trajectories is not an array of real numbers (NoneType)"),
    ({"initial_positions": INITIAL[:9]}, "initial_positions has shape (9, 3); graph needs (10, 3)"),
    ({"initial_positions": INITIAL[:, 0]}, "initial_positions has shape (10,); give (N, 2) or (N, 3)"),
    ({"initial_positions": INITIAL * np.nan}, "initial_positions[0, 0] = nan is not finite"),
    ({"initial_positions": INITIAL[::-1]}, "initial_positions do not belong to graph: edge"),
    ({"graph": bf.batch_graphs([GRAPH, GRAPH])}, "graph is a batch of 2 graphs; compute the targets of each"),
    ({"graph": GRAPH.replace(box=None)}, "graph.box is None"),
    ({"graph": GRAPH.replace(box=torch.full((3,), 7.0))}, "initial_positions do not belong to graph: edge"),
    ({"graph": None}, "graph is a NoneType; give the Graph that build_graph returns"),
]


@pytest.mark.parametrize(("changes", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_refusals(changes, message):
    arguments = {"initial_positions": INITIAL, "trajectories": RUNS, "graph": GRAPH, **changes}
    with pytest.raises(bf.BotanFastError) as error:
        bf.isoconfigurational_targets(**arguments)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_examples():
    result = doctest.testmod(targets_module)
    assert result.attempted > 5
    assert result.failed == 0


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("row_ptr", lambda x: x * 2, "graph.row_ptr goes from 0 to"),
        ("row_ptr", lambda x: x.clamp(max=int(x[-1]) - 2), "graph.row_ptr ends with .*; build it again"),
        ("senders", lambda x: x + 1000, r"graph.senders holds \d+, outside \[0, 60\)"),
        ("reverse", lambda x: x - 5, "graph.reverse holds -"),
        ("reverse", lambda x: torch.arange(len(x), dtype=torch.int32), "graph.reverse does not name the opposite"),
        ("reverse", lambda x: torch.zeros_like(x), "graph.reverse does not name the opposite"),
    ],
)
@pytest.mark.parametrize("which", ["SE", "SER"])
def test_a_graph_whose_arrays_do_not_belong_together(name, change, message, which):
    """Out of range it would crash; an edge that no row names would have a number that nobody wrote."""
    start = random_positions(60, 5.0, 3)
    graph = bf.build_graph(start, np.zeros(60, int), 5.0)
    broken = graph.replace(**{name: change(getattr(graph, name))})
    with pytest.raises(bf.BotanFastError, match=message):
        bf.isoconfigurational_targets(start, start[None] + 0.1, broken, which=which)
