"""Neighbour lists against the definition: every pair, many images, float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import botan_fast as bf
from botan_fast.graph.inputs import check_inputs
from botan_fast.graph.search_cpu import search
from tests.helpers import brute_force
from tests.helpers.graph_checks import arrays, check_against_brute_force, check_structure, random_positions

TILTED_2D = np.array([[9.0, 0.0], [7.5, 5.0]])
TILTED_3D = np.array([[11.0, 0.0, 0.0], [9.0, 8.0, 0.0], [-8.0, 5.0, 6.0]])
LEFT_HANDED = np.array([[0.0, 6.0, 0.5], [7.0, 0.3, 0.0], [0.0, 0.4, -5.0]])


@pytest.fixture
def set_threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


# ---- against the definition --------------------------------------------------------------------------------------


@pytest.mark.parametrize("self_edges", [False, True])
@pytest.mark.parametrize(
    ("box", "cutoff", "num_nodes"),
    [
        ([4.0, 4.0, 4.0], 2.0, 60),  # exactly 2 * cutoff
        ([4.0, 5.9, 8.1], 2.0, 150),  # one, two and four cells
        ([6.1, 6.1, 6.1], 2.0, 150),
        ([12.3, 11.0, 13.7], 1.5, 400),
        ([4.1, 4.1, 60.0], 2.0, 200),
        ([200.0, 200.0, 200.0], 1.0, 50),  # dilute: mostly empty receivers
        ([4.0, 4.0], 2.0, 25),
        ([5.0, 17.0], 2.0, 100),
        ([30.0, 21.0], 1.3, 400),
        (TILTED_2D, 2.4, 60),
        (TILTED_2D * 3, 2.0, 250),
        (TILTED_3D, 1.7, 150),
        (TILTED_3D * 2, 1.6, 400),
        (LEFT_HANDED, 2.4, 120),
        (np.diag([7.0, 6.0, 5.0]), 2.0, 120),
        (7.5, 2.0, 150),
    ],
)
def test_edges(box, cutoff, num_nodes, self_edges):
    dimensions = 3 if np.ndim(box) == 0 else len(box)
    check_against_brute_force(random_positions(num_nodes, box, dimensions), box, cutoff, self_edges)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("self_edges", [False, True])
@pytest.mark.parametrize("num_nodes", [0, 1, 2])
def test_few_particles(num_nodes, self_edges, dimensions):
    positions = np.full((num_nodes, dimensions), 0.5)
    positions[1:] += 0.9
    graph = check_against_brute_force(positions, 4.0, 2.0, self_edges)
    assert graph.num_edges == 2 * (num_nodes == 2) + num_nodes * self_edges
    assert graph.vectors.shape == (graph.num_edges, dimensions)


def test_empty_receivers():
    positions = np.array([[1.0, 1, 1], [15.0, 15, 15], [1.5, 1, 1], [25.0, 5, 15]])
    graph = check_against_brute_force(positions, 30.0, 2.0)
    assert graph.row_ptr.tolist() == [0, 1, 1, 2, 2]


@pytest.mark.parametrize("box", [4.0, 5.0, 7.0, 23.0])
def test_faces(box):
    """Particles on the upper face, one rounding below it, and a hair below zero."""
    edge = [0.0, -1e-17, -0.0, 5e-324, np.nextafter(box, 0), box, -box, 0.5 * box]
    positions = np.array([[x, 1.0 + 0.11 * k, y] for k, (x, y) in enumerate((x, y) for x in edge[:4] for y in edge)])
    positions = np.concatenate([positions, positions[:, [2, 0, 1]] + 0.003])
    check_against_brute_force(positions, box, 2.0)


@pytest.mark.parametrize("box", [[9.0, 6.5, 11.0], TILTED_3D])
def test_unwrapped_positions(box):
    wrapped = random_positions(200, box, 3)
    cell = brute_force.as_cell(box, 3)
    shifts = np.random.default_rng(1).integers(-40, 41, wrapped.shape)
    graph = check_against_brute_force(wrapped + shifts @ cell, box, 1.7)
    same = bf.build_graph(wrapped, np.zeros(200, int), box, 1.7)
    assert torch.equal(graph.senders, same.senders)
    assert torch.equal(graph.receivers, same.receivers)


def test_pairs_at_the_cutoff_are_excluded():
    positions = np.array([[1.0, 1.0, 1.0], [3.0, 1.0, 1.0], [1.0, np.nextafter(3.0, 0), 1.0], [1.0, 1.0, 9.0]])
    for box in (10.0, [10.0, 10.0, 10.0], np.diag([10.0] * 3) + np.eye(3, k=-1) * 2.5):
        i, j = bf.neighbor_list("ij", positions[:3], box, 2.0)
        assert list(zip(i, j, strict=True)) == [(0, 2), (2, 0)]
    assert bf.neighbor_list("i", positions[[0, 3]], 10.0, 2.0).size == 0  # across the face: distance 2 again


def test_the_decision_is_on_the_distance_itself():
    """A pair at exactly the cutoff as float64 computes the distance is out, also where cutoff**2 rounds above d . d."""
    above = 0
    for d in np.random.default_rng(0).random((50, 2)):
        positions = np.array([[0.0, 0.0], d])
        squared = d[0] * d[0] + d[1] * d[1]
        cutoff = np.sqrt(squared)
        above += cutoff * cutoff > squared
        assert bf.neighbor_list("i", positions, 10.0, cutoff).size == 0
        assert bf.neighbor_list("i", positions, 10.0, np.nextafter(cutoff, 9)).size == 2
    assert above > 5


@pytest.mark.parametrize("cutoff", [1.9, 1.3, 1.99999])
def test_box_of_twice_the_cutoff_at_the_far_side(cutoff):
    """One rounding beyond half the box the pair is an edge through the face; the rounded quotient would say no."""
    box = 2 * cutoff
    beyond, within = np.nextafter(cutoff, 9), np.nextafter(cutoff, 0)
    for x, expected in ((beyond, beyond - box), (within, within)):
        D, S = bf.neighbor_list("DS", np.array([[0.0, 0.0], [x, 0.0]]), box, cutoff)
        assert D[:, 0].tolist() == [expected, -expected]
        assert S[:, 0].tolist() == [-1 if x > cutoff else 0, 1 if x > cutoff else 0]
    assert bf.neighbor_list("i", np.array([[0.0, 0.0], [cutoff, 0.0]]), box, cutoff).size == 0


def test_dense_clusters():
    """Hundreds of particles in one cell, the rest of the box nearly empty; rows longer than the rank limit."""
    rng = np.random.default_rng(3)
    cluster = 10 + 0.3 * rng.standard_normal((300, 3))
    gas = rng.random((40, 3)) * 40
    positions = rng.permutation(np.concatenate([cluster, gas]))
    graph = check_against_brute_force(positions, 40.0, 2.0)
    assert graph.row_ptr.diff().max() > 256
    assert graph.row_ptr.diff().min() == 0


def test_particles_on_a_lattice():
    """A simple cubic lattice has its neighbours in shells: 6 at 1, 12 at sqrt(2), 8 at sqrt(3), 6 at 2 (excluded)."""
    positions = np.stack(np.meshgrid(*[np.arange(8.0)] * 3), -1).reshape(-1, 3)
    graph = bf.build_graph(positions, np.zeros(512, int), 8.0)
    assert (graph.row_ptr.diff() == 26).all()
    check_structure(graph)


def test_large_system_counts(set_threads):
    """Enough particles for many tasks: the same bits for any number of threads, and the right rows."""
    positions = random_positions(20_000, 26.0, 3, seed=5)
    results = []
    for threads in (1, 2, 3):
        set_threads(threads)
        graph = bf.build_graph(positions, np.zeros(20_000, int), 26.0)
        pairs = bf.neighbor_list("ijdDS", positions, 26.0, 2.0)
        results.append([*arrays(graph).values(), *pairs])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert a.tobytes() == b.tobytes()
    check_structure(graph)
    for i in (0, 7, 4096, 19_999):
        d = positions - positions[i]
        d -= 26.0 * np.rint(d / 26.0)
        near = np.flatnonzero((d**2).sum(1) < 4.0)
        np.testing.assert_array_equal(graph.senders[graph.row_ptr[i] : graph.row_ptr[i + 1]], near[near != i])


def test_float32_positions_are_exact():
    positions = random_positions(100, 7.0, 3).astype(np.float32)
    a = bf.neighbor_list("ijD", positions, 7.0, 2.0)
    b = bf.neighbor_list("ijD", positions.astype(np.float64), 7.0, 2.0)
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


# ---- properties on a dyadic grid, where float64 is exact and pairs at the cutoff do occur ---------------------------

SCALE = 8  # grid points per unit length
GRID_CELLS = {
    "orthorhombic": np.array([[40, 0, 0], [0, 32, 0], [0, 0, 64]]),
    "tilted": np.array([[64, 0, 0], [32, 64, 0], [-32, 16, 64]]),
    "square": np.array([[32, 0], [0, 64]]),
}


def grid_edges(points, cell, cutoff):
    """The definition, exact on the grid."""
    edges = []
    for i, a in enumerate(points):
        for j, b in enumerate(points):
            images = brute_force.nearest_images((a - b).astype(float), cell.astype(float))
            if 0 < (images**2).sum() < cutoff**2:
                edges.append((i, j))
    return edges


@st.composite
def grid_configurations(draw):
    cell = GRID_CELLS[draw(st.sampled_from(sorted(GRID_CELLS)))]
    point = st.tuples(*[st.integers(0, 15)] * len(cell))
    points = draw(st.lists(point, min_size=1, max_size=20, unique=True))
    return cell, np.array(points)


def build_on_grid(points, cell, cutoff):
    return bf.build_graph(points / SCALE, np.arange(len(points)), cell / SCALE, cutoff / SCALE)


@settings(max_examples=40, deadline=None)
@given(grid_configurations(), st.integers(3, 16))
def test_grid_edges(configuration, cutoff):
    cell, points = configuration
    graph = build_on_grid(points, cell, cutoff)
    found = zip(graph.receivers.tolist(), graph.senders.tolist(), strict=True)
    assert list(found) == grid_edges(points, cell, cutoff)
    check_structure(graph)


@settings(max_examples=40, deadline=None)
@given(grid_configurations(), st.data())
def test_translations_and_lattice_shifts_change_nothing(configuration, data):
    cell, points = configuration
    dimensions = len(cell)
    shift = data.draw(st.tuples(*[st.integers(-500, 500)] * dimensions))
    cells = data.draw(
        st.lists(st.tuples(*[st.integers(-9, 9)] * dimensions), min_size=len(points), max_size=len(points))
    )
    before = arrays(build_on_grid(points, cell, 13))
    after = arrays(build_on_grid(points + shift + np.array(cells) @ cell, cell, 13))
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name], err_msg=name)


@settings(max_examples=40, deadline=None)
@given(grid_configurations(), st.randoms(use_true_random=False))
def test_permutations_permute_the_edges(configuration, random):
    cell, points = configuration
    order = list(range(len(points)))
    random.shuffle(order)
    before, after = build_on_grid(points, cell, 13), build_on_grid(points[order], cell, 13)
    new = np.argsort(order)  # the new name of each particle

    def table(graph, name):
        return {
            (int(name[s]), int(name[r])): tuple(v)
            for s, r, v in zip(graph.senders, graph.receivers, graph.vectors.tolist(), strict=True)
        }

    assert table(before, new) == table(after, np.arange(len(points)))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.sampled_from([2, 3]), st.booleans())
def test_random_configurations(seed, num_nodes, dimensions, self_edges):
    rng = np.random.default_rng(seed)
    box = 4.0 + rng.exponential(4.0, dimensions)
    positions = rng.normal(0, 1, (num_nodes, dimensions)) * box * rng.choice([0.05, 1.0])
    check_against_brute_force(positions, box, 2.0, self_edges)


# ---- what the search itself refuses --------------------------------------------------------------------------------


def test_coincident_particles_are_found_anywhere(set_threads):
    """The pair that is named does not depend on the threads; the definition would silently drop the edge."""
    positions = random_positions(3000, 14.0, 3)
    positions[[2900, 1700]] = positions[[2500, 900]]
    for threads in (1, 2):
        set_threads(threads)
        for self_edges in (False, True):
            with pytest.raises(bf.BotanFastError, match=r"positions\[900\] and positions\[1700\] are the same point"):
                bf.build_graph(positions, np.zeros(3000, int), 14.0, self_edges=self_edges)


def test_more_edges_than_the_index_type_counts():
    """The limit is 2**31 - 1 edges; the search takes it as an argument, and a small one shows the same refusal."""
    positions = random_positions(600, 8.0, 3)
    inputs = check_inputs(positions, 8.0, 2.0)
    num_edges = search(inputs).num_edges
    assert search(inputs, max_edges=num_edges).num_edges == num_edges
    with pytest.raises(bf.BotanFastError, match=rf"cutoff = 2 gives more than {num_edges - 1} edges"):
        search(inputs, max_edges=num_edges - 1)
