"""Pairs that do not fit are found before they are searched, and what fits is never refused."""

import time

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.graph import crowding
from botan_fast.graph.crowding import _certain_pairs, _occupied


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_heap_is_refused_at_once(dimensions):
    positions = np.random.default_rng(0).random((100_000, dimensions)) * 0.9
    start = time.perf_counter()
    with pytest.raises(InputError, match=r"100000 particles have more than .* pairs closer than cutoff = 2"):
        bf.build_graph(positions, np.zeros(100_000, int), np.full(dimensions, 50.0))
    assert time.perf_counter() - start < 10


def test_a_heap_among_others(monkeypatch):
    rng = np.random.default_rng(0)
    positions = np.concatenate([rng.random((60_000, 3)) * 40, rng.random((60_000, 3)) * 0.5 + 20])
    with pytest.raises(InputError, match="the configuration has collapsed"):
        bf.neighbor_list("ij", positions, np.full(3, 40.0), 2.0)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_it_is_a_lower_bound(dimensions):
    positions = np.random.default_rng(1).random((400, dimensions)) * 6
    difference = positions[:, None] - positions[None]
    pairs = int((np.linalg.norm(difference, axis=2) < 2.0).sum()) - 400
    assert 0.1 * pairs < _certain_pairs(*_occupied(positions, 2.0), dimensions) <= pairs


def test_a_large_liquid_is_not_refused(monkeypatch):
    positions = np.random.default_rng(2).random((60_000, 3)) * (60_000 / 1.2) ** (1 / 3)
    looked = []
    original = crowding._occupied
    monkeypatch.setattr(crowding, "_occupied", lambda x, c: looked.append(len(x)) or original(x, c))
    graph = bf.build_graph(positions, np.zeros(60_000, int), np.full(3, (60_000 / 1.2) ** (1 / 3)), cutoff=1.0)
    assert graph.num_edges > 100_000
    assert looked == [2048]  # a sample is enough
