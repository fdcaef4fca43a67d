"""What graphs carry besides types: named arrays, and vectors at the inherent structure."""

import pickle

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.errors import InputError
from tests.helpers.graph_checks import random_positions


def rich(number=30, dimensions=3, seed=0):
    graph = bf.build_graph(random_positions(number, 5.0, dimensions, seed=seed), np.zeros(number, int), 5.0)
    g = torch.Generator().manual_seed(seed)
    arrays = {"energy": torch.randn(number, generator=g), "descriptors": torch.randn(number, 4, generator=g)}
    return graph.replace(arrays=arrays, inherent_vectors=graph.vectors + 0.1 * torch.randn(graph.vectors.shape))


def test_they_follow_the_graph():
    graph = rich()
    meta = graph.to("meta")
    assert {name: (t.device.type, t.shape) for name, t in meta.arrays.items()} == {
        "energy": ("meta", (30,)), "descriptors": ("meta", (30, 4))
    }  # fmt: skip
    assert meta.inherent_vectors.device.type == "meta"
    again = pickle.loads(pickle.dumps(graph))
    assert torch.equal(again.inherent_vectors, graph.inherent_vectors)
    assert torch.equal(again.arrays["descriptors"], graph.arrays["descriptors"])
    other = graph.replace(types=graph.types + 1)
    assert other.arrays["energy"] is graph.arrays["energy"]
    assert other.inherent_vectors is graph.inherent_vectors
    bare = graph.replace(arrays=None, inherent_vectors=None)
    assert (bare.arrays, bare.inherent_vectors) == (None, None)


def test_a_graph_of_an_older_pickle_has_none():
    graph = rich()
    state = {name: value for name, value in vars(graph).items() if name not in ("arrays", "inherent_vectors")}
    old = bf.Graph.__new__(bf.Graph)
    vars(old).update(state)
    assert (old.arrays, old.inherent_vectors) == (None, None)
    assert torch.equal(old.to("cpu").vectors, graph.vectors)


def test_the_dictionary_is_a_copy():
    given = {"energy": torch.zeros(30)}
    graph = rich().replace(arrays=given)
    given["other"] = torch.zeros(1)
    assert list(graph.arrays) == ["energy"]


@pytest.mark.parametrize("dimensions", [2, 3])
def test_vectors_turn_together(dimensions):
    graph = rich(dimensions=dimensions)
    q = torch.linalg.qr(torch.randn(dimensions, dimensions, generator=torch.Generator().manual_seed(1)))[0]
    turned = graph.rotate(q)
    for name in ("vectors", "inherent_vectors"):
        before, after = getattr(graph, name), getattr(turned, name)
        exact = np.einsum("ab,kb->ka", q.double().numpy(), before.double().numpy())
        np.testing.assert_allclose(after.double().numpy(), exact, atol=1e-6)
    assert turned.arrays["energy"] is graph.arrays["energy"]
    assert turned.senders is graph.senders
    bare = graph.replace(inherent_vectors=None)
    assert torch.equal(bare.rotate(q).vectors, turned.vectors)
    with pytest.raises(InputError, match=r"rotation has shape \(4, 4\); vectors of . dimensions need"):
        graph.rotate(torch.eye(4))


def test_batches_carry_them():
    parts = [rich(30, seed=1), rich(1, seed=2), rich(45, seed=3)]
    parts[1] = parts[1].replace(arrays=dict(reversed(parts[1].arrays.items())))  # the order of names means nothing
    batch = bf.batch_graphs(parts)
    assert torch.equal(batch.inherent_vectors, torch.cat([p.inherent_vectors for p in parts]))
    for name in ("energy", "descriptors"):
        assert torch.equal(batch.arrays[name], torch.cat([p.arrays[name] for p in parts]))
    nested = bf.batch_graphs([bf.batch_graphs(parts[:2]), parts[2]])
    assert torch.equal(nested.arrays["descriptors"], batch.arrays["descriptors"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arrays": None}, r"graphs\[1\] has arrays = none, graphs\[0\] has descriptors \(N, 4\), energy \(N,\)"),
        ({"arrays": {"energy": torch.zeros(30), "descriptors": torch.zeros(30, 5)}}, r"descriptors \(N, 5\)"),
        ({"arrays": {"energy": torch.zeros(30)}}, r"arrays = energy \(N,\), graphs\[0\] has descriptors"),
        ({"inherent_vectors": None}, r"graphs\[1\] has inherent_vectors = none"),
    ],
)
def test_unlike_graphs_are_not_batched(changes, message):
    graph = rich()
    for pair in ([graph, graph.replace(**changes)], [graph, graph, graph.replace(**changes)]):
        with pytest.raises(InputError, match=message.replace(r"\[1\]", rf"\[{len(pair) - 1}\]")):
            bf.batch_graphs(pair)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arrays": [1]}, "Graph.arrays is a list"),
        ({"arrays": {3: torch.zeros(30)}}, "a name of type int"),
        ({"arrays": {"a": torch.zeros(29)}}, r"Graph.arrays\['a'\] is torch.float32 of shape \(29,\).*\(30,\) or"),
        ({"arrays": {"a": torch.zeros(30, dtype=torch.long)}}, "torch.int64 of shape"),
        ({"arrays": {"a": torch.zeros(30, 2, 2)}}, r"\(30, 2, 2\)"),
        ({"arrays": {"a": np.zeros(30)}}, "is a ndarray"),
        ({"arrays": {"a": torch.zeros(30, device="meta")}}, "tensors on cpu and meta"),
        ({"inherent_vectors": torch.zeros(1, 3)}, r"Graph.inherent_vectors is torch.float32 of shape \(1, 3\)"),
        ({"inherent_vectors": np.zeros(3)}, "Graph.inherent_vectors is a ndarray"),
    ],
)
def test_refusals(changes, message):
    with pytest.raises(InputError, match=message):
        rich().replace(**changes)
