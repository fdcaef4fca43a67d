"""Neighbour lists against the definition: every pair, many images, float64."""

import doctest

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import botan_fast as bf
import brute_force
from botan_fast import graph as graph_module

TILTED_2D = np.array([[9.0, 0.0], [7.5, 5.0]])
TILTED_3D = np.array([[11.0, 0.0, 0.0], [9.0, 8.0, 0.0], [-8.0, 5.0, 6.0]])
LEFT_HANDED = np.array([[0.0, 6.0, 0.5], [7.0, 0.3, 0.0], [0.0, 0.4, -5.0]])


def random_positions(num_nodes, box, dimensions, seed=0):
    cell = brute_force.as_cell(box, dimensions)
    return np.random.default_rng(seed).random((num_nodes, dimensions)) @ cell


def arrays(graph):
    return {
        name: getattr(graph, name).numpy()
        for name in ("senders", "receivers", "vectors", "row_ptr", "reverse", "types")
    }


def check_structure(graph):
    """What holds for every graph: order, row_ptr, reverse, exact symmetry."""
    a = arrays(graph)
    assert [a[k].dtype for k in ("senders", "receivers", "row_ptr", "reverse")] == [np.int32] * 4
    assert a["vectors"].dtype == np.float32
    key = a["receivers"].astype(np.int64) * max(graph.num_nodes, 1) + a["senders"]
    assert (np.diff(key) > 0).all()
    assert a["row_ptr"][0] == 0
    np.testing.assert_array_equal(np.diff(a["row_ptr"]), np.bincount(a["receivers"], minlength=graph.num_nodes))
    reverse = a["reverse"]
    np.testing.assert_array_equal(reverse[reverse], np.arange(graph.num_edges))
    np.testing.assert_array_equal(a["senders"][reverse], a["receivers"])
    np.testing.assert_array_equal(a["vectors"][reverse], -a["vectors"])
    # sender_order and sender_ptr list the edges that leave each node
    leaving = a["senders"][graph.sender_order.numpy()]
    np.testing.assert_array_equal(leaving, np.repeat(np.arange(graph.num_nodes), np.diff(graph.sender_ptr.numpy())))


def check_against_brute_force(positions, box, cutoff, self_edges=False):
    graph = bf.build_graph(positions, np.zeros(len(positions), int), box, cutoff, self_edges)
    receivers, senders, vectors = brute_force.edges(positions, box, cutoff, self_edges)
    np.testing.assert_array_equal(graph.receivers, receivers)
    np.testing.assert_array_equal(graph.senders, senders)
    np.testing.assert_allclose(graph.vectors, vectors, atol=1e-6)
    check_structure(graph)

    i, j, d, D, S = bf.neighbor_list("ijdDS", positions, box, cutoff, self_edges)
    np.testing.assert_array_equal(i, receivers)
    np.testing.assert_array_equal(j, senders)
    np.testing.assert_allclose(D, -vectors, atol=1e-12)
    np.testing.assert_array_equal(d, np.sqrt((D**2).cumsum(1)[:, -1]))
    cell = brute_force.as_cell(box, positions.shape[1])
    np.testing.assert_allclose(
        positions[j] - positions[i] + S @ cell, D, atol=1e-12 * max(1, np.abs(positions).max(initial=0))
    )
    assert (d < cutoff).all()
    return graph


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


@pytest.mark.parametrize("cutoff", [0.1, 0.3, 1.1, 1.7, 2.3])
def test_the_decision_is_on_the_distance_itself(cutoff):
    """d * d rounds, sqrt(d * d) is d: a cutoff one rounding above the distance includes the pair."""
    positions = np.array([[0.0, 0.0], [cutoff, 0.0]])
    assert bf.neighbor_list("i", positions, 10.0, cutoff).size == 0
    assert bf.neighbor_list("i", positions, 10.0, np.nextafter(cutoff, 9)).size == 2


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
    """The definition in integers."""
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


# ---- the interface -------------------------------------------------------------------------------------------------


def test_neighbor_list_letters():
    positions = random_positions(50, 6.0, 3)
    full = dict(zip("ijdDS", bf.neighbor_list("ijdDS", positions, 6.0, 2.0), strict=True))
    assert {letter: x.dtype for letter, x in full.items()} == {
        "i": np.int64, "j": np.int64, "d": np.float64, "D": np.float64, "S": np.int64
    }  # fmt: skip
    for letter, expected in full.items():
        alone = bf.neighbor_list(letter, positions, 6.0, 2.0)
        assert isinstance(alone, np.ndarray)
        np.testing.assert_array_equal(alone, expected)
    S, i = bf.neighbor_list("Si", positions, 6.0, 2.0)
    np.testing.assert_array_equal(S, full["S"])
    np.testing.assert_array_equal(i, full["i"])
    tensors = bf.neighbor_list("ijdDS", torch.from_numpy(positions), torch.full((3,), 6.0), 2.0)
    for letter, tensor in zip("ijdDS", tensors, strict=True):
        assert isinstance(tensor, torch.Tensor)
        np.testing.assert_array_equal(tensor, full[letter])


def test_neighbor_list_agrees_with_the_graph():
    positions = random_positions(50, 6.0, 3)
    graph = bf.build_graph(positions, np.zeros(50, int), 6.0)
    i, j, D = bf.neighbor_list("ijD", positions, 6.0, 2.0)
    np.testing.assert_array_equal(graph.edge_index, [j, i])
    np.testing.assert_array_equal(graph.vectors, -D.astype(np.float32))


def test_graph_fields():
    positions = torch.from_numpy(random_positions(30, 5.0, 3)).requires_grad_()
    types = torch.arange(30) % 2
    graph = bf.build_graph(positions, types, (5.0, 5.0, 5.0), cutoff=1.5, self_edges=True)
    assert (graph.num_nodes, graph.num_graphs) == (30, 1)
    assert graph.num_edges == graph.senders.shape[0] == graph.edge_index.shape[1]
    assert graph.types.dtype == torch.int64
    assert torch.equal(graph.types, types)
    types[0] = 7
    assert graph.types[0] == 0  # a copy
    assert graph.box.dtype == torch.float64
    assert graph.box.tolist() == [5.0] * 3
    assert (graph.cutoff, graph.self_edges) == (1.5, True)
    assert graph.graph_ptr.tolist() == [0, 30]
    assert graph.graph_ptr.dtype == torch.int64
    assert not graph.vectors.requires_grad
    assert torch.equal(graph.senders[graph.senders == graph.receivers], torch.arange(30, dtype=torch.int32))
    loops = graph.senders == graph.receivers
    assert (graph.vectors[loops] == 0).all()
    assert torch.equal(graph.reverse[loops], torch.nonzero(loops).flatten().int())


def test_cell_is_kept_as_given():
    graph = bf.build_graph(random_positions(20, TILTED_2D, 2), np.zeros(20, int), TILTED_2D)
    np.testing.assert_array_equal(graph.box, TILTED_2D)


def test_to_and_replace():
    graph = bf.build_graph(random_positions(30, 5.0, 3), np.zeros(30, int), 5.0)
    meta = graph.to("meta")
    tensors = ("senders", "receivers", "vectors", "row_ptr", "reverse", "types", "box", "graph_ptr")
    assert all(getattr(meta, name).device.type == "meta" for name in tensors)
    assert meta.device.type == "meta"
    assert meta.cutoff == graph.cutoff
    assert bf.build_graph([[0.0, 0.0]], [0], 5.0, device="meta").senders.device.type == "meta"
    flipped = graph.replace(vectors=-graph.vectors)
    assert torch.equal(flipped.vectors, -graph.vectors)
    assert flipped.senders is graph.senders
    with pytest.raises(bf.BotanFastError, match="no field 'colour'"):
        graph.replace(colour=1)


def test_repr():
    graph = bf.build_graph([[0.0, 0.0], [1.0, 0.0]], [0, 1], 5.0)
    text = repr(graph)
    for part in ("num_nodes=2", "num_edges=2", "dimensions=2", "cutoff=2.0", "box=[5.0, 5.0]", "'cpu'"):
        assert part in text
    assert "num_graphs=2" in repr(bf.batch_graphs([graph, graph]))


def test_batch_is_the_disjoint_union():
    sizes = (30, 1, 0, 45)
    parts = [
        bf.build_graph(random_positions(n, 5.5, 3, seed=n), np.full(n, n % 3), 5.5, self_edges=True) for n in sizes
    ]
    batch = bf.batch_graphs(parts)
    check_structure(batch)
    assert (batch.num_graphs, batch.num_nodes) == (4, 76)
    assert batch.graph_ptr.tolist() == [0, 30, 31, 31, 76]
    assert batch.graph_ptr.dtype == torch.int64
    assert batch.box.tolist() == [5.5] * 3
    for g, part in enumerate(parts):
        start, stop = batch.graph_ptr[g], batch.graph_ptr[g + 1]
        edges = slice(batch.row_ptr[start], batch.row_ptr[stop])
        assert torch.equal(batch.senders[edges] - start, part.senders)
        assert torch.equal(batch.receivers[edges] - start, part.receivers)
        assert torch.equal(batch.vectors[edges], part.vectors)
        assert torch.equal(batch.types[start:stop], part.types)
    nested = bf.batch_graphs([bf.batch_graphs(parts[:2]), bf.batch_graphs(parts[2:])])
    for name in ("senders", "receivers", "vectors", "row_ptr", "reverse", "types", "graph_ptr"):
        assert torch.equal(getattr(nested, name), getattr(batch, name)), name


def test_batch_of_unlike_graphs():
    small = bf.build_graph([[0.0, 0.0]], [0], 5.0)
    assert bf.batch_graphs([small, bf.build_graph([[0.0, 0.0]], [0], 6.0)]).box is None
    assert bf.batch_graphs([small]) is small
    with pytest.raises(bf.BotanFastError, match="graphs is empty"):
        bf.batch_graphs([])
    for other, name in (
        (bf.build_graph([[0.0, 0.0]], [0], 5.0, cutoff=1.0), "cutoff = 1.0"),
        (bf.build_graph([[0.0, 0.0]], [0], 5.0, self_edges=True), "self_edges = True"),
        (bf.build_graph([[0.0, 0.0, 0.0]], [0], 5.0), "dimensions = 3"),
        (small.to("meta"), "device = meta"),
    ):
        with pytest.raises(bf.BotanFastError, match=rf"graphs\[1\] has {name}"):
            bf.batch_graphs([small, other])


# ---- refusals ------------------------------------------------------------------------------------------------------

GOOD = {"positions": [[0.5, 0.5, 0.5], [1.5, 0.5, 0.5]], "types": [0, 1], "box": [5.0, 5.0, 5.0], "cutoff": 2.0}
BAD = [
    (
        {"box": [5.0, 3.2, 5.0]},
        "box[1] = 3.2 is smaller than 2 * cutoff = 4.0; use a larger system or a smaller cutoff",
    ),
    ({"box": 3.0}, "box[0] = 3.0 is smaller than 2 * cutoff = 4.0"),
    (
        {"box": [[5.0, 0, 0], [9, 5, 0], [0, 0, 5]]},
        "height 0 of box = 2.42821 is smaller than 2",
    ),
    ({"box": [5.0, 0.0, 5.0]}, "box[1] = 0.0 must be positive"),
    ({"box": [5.0, 5.0, -5.0]}, "box[2] = -5.0 must be positive"),
    ({"box": [5.0, np.nan, 5.0]}, "box[1] = nan is not finite"),
    ({"box": [[5.0, 0, 0], [0, np.inf, 0], [0, 0, 5.0]]}, "box[1, 1] = inf is not finite"),
    ({"box": [[5.0, 5, 0], [5, 5, 0], [0, 0, 5.0]]}, "has no volume"),
    ({"box": [5.0, 5.0]}, "box has shape (2,); for 3 dimensions give (3,) edge lengths or a (3, 3) cell"),
    ({"box": "large"}, "box is not an array of real numbers (str)"),
    ({"box": None}, "box is not an array of real numbers (NoneType)"),
    ({"cutoff": 0.0}, "cutoff = 0.0 must be positive and finite"),
    ({"cutoff": -1}, "cutoff = -1.0 must be positive and finite"),
    ({"cutoff": np.nan}, "cutoff = nan must be positive and finite"),
    ({"cutoff": np.inf}, "cutoff = inf must be positive and finite"),
    ({"cutoff": "far"}, "cutoff = 'far' is not a number"),
    ({"positions": [[0.5, np.nan, 0.5], [1.5, 0.5, 0.5]]}, "positions[0, 1] = nan is not finite"),
    ({"positions": [[0.5, 0.5, 0.5], [1.5, 0.5, -np.inf]]}, "positions[1, 2] = -inf is not finite"),
    ({"positions": [[0.5, 0.5, 0.5], [1e300, 0.5, 0.5]]}, "positions[1] lies 2e+299 box lengths from the origin"),
    ({"positions": [0.5, 0.5, 0.5]}, "positions has shape (3,); give (N, 2) or (N, 3)"),
    ({"positions": np.zeros((2, 4))}, "positions has shape (2, 4); give (N, 2) or (N, 3)"),
    ({"positions": [[1.0, 2.0], [1.0]]}, "positions is not an array of real numbers"),
    ({"positions": np.zeros((2, 3), complex)}, "positions is not an array of real numbers"),
    ({"positions": [[0.5, 0.5, 0.5], [5.5, 0.5, 0.5]]}, "positions[0] and positions[1] are the same point"),
    ({"types": [0]}, "types has shape (1,); positions need (2,)"),
    ({"types": [0.0, 1.0]}, "types has dtype float64; give integers"),
    ({"types": [0, -2]}, "types[1] = -2 is negative"),
]


@pytest.mark.parametrize(("changes", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_refusals(changes, message):
    arguments = {**GOOD, **changes}
    with pytest.raises(bf.BotanFastError) as error:
        bf.build_graph(**arguments)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    if "types" not in changes:
        del arguments["types"]
        with pytest.raises(bf.BotanFastError) as error:
            bf.neighbor_list("ij", **arguments)
        assert message in str(error.value)


@pytest.mark.parametrize("letters", ["", "x", "ijk", None, 3])
def test_unknown_letters(letters):
    with pytest.raises(bf.BotanFastError, match="must be one or more of i, j, d, D, S"):
        bf.neighbor_list(letters, GOOD["positions"], GOOD["box"], 2.0)


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
    box, cell = graph_module.check_box(8.0, 3)
    num_edges = graph_module._search(positions, box, cell, 2.0, False).num_edges
    assert graph_module._search(positions, box, cell, 2.0, False, max_edges=num_edges).num_edges == num_edges
    with pytest.raises(bf.BotanFastError, match=rf"cutoff = 2 gives more than {num_edges - 1} edges"):
        graph_module._search(positions, box, cell, 2.0, False, max_edges=num_edges - 1)


def test_examples():
    result = doctest.testmod(graph_module)
    assert result.attempted > 5
    assert result.failed == 0
