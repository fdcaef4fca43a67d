"""The interface of graphs: fields, batches, letters, and refusals."""

import doctest

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.graph import graph as graph_module
from tests.helpers.graph_checks import check_structure, random_positions

TILTED = np.array([[9.0, 0.0], [7.5, 5.0]])

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
    graph = bf.build_graph(random_positions(20, TILTED, 2), np.zeros(20, int), TILTED)
    np.testing.assert_array_equal(graph.box, TILTED)


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


def test_examples():
    result = doctest.testmod(graph_module)
    assert result.attempted > 5
    assert result.failed == 0
