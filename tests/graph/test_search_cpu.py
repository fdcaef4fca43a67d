"""The search against its formula, bit for bit: float32 sorts candidates out, but float64 decides."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import botan_fast as bf
from tests.helpers import brute_force
from tests.helpers.graph_checks import arrays, check_structure, random_positions
from tests.helpers.graph_digest import TILTED, clustered, digest


def formula(positions, box, cutoff, receivers=None):
    """(receivers, senders, vectors float32) of csrc/botan_fast.h, with its order of operations; boxes without tilt."""
    dimensions = positions.shape[1]
    lengths = np.broadcast_to(np.asarray(box, dtype=np.float64), dimensions)
    inverse = 1 / lengths
    rows = range(len(positions)) if receivers is None else receivers
    found = []
    for i in rows:
        d = positions[i] - positions
        d -= np.rint(d * inverse) * lengths
        squared = d[:, 0] * d[:, 0]
        for b in range(1, dimensions):
            squared += d[:, b] * d[:, b]
        near = np.flatnonzero((np.sqrt(squared) < cutoff) & (squared > 0))
        found.append((np.full(len(near), i), near, d[near].astype(np.float32)))
    return [np.concatenate(part) for part in zip(*found, strict=True)]


def check_against_formula(positions, box, cutoff):
    graph = bf.build_graph(positions, np.zeros(len(positions), int), box, cutoff)
    receivers, senders, vectors = formula(positions, box, cutoff)
    np.testing.assert_array_equal(graph.receivers, receivers)
    np.testing.assert_array_equal(graph.senders, senders)
    np.testing.assert_array_equal(graph.vectors, vectors)
    check_structure(graph)
    return graph


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 500), st.sampled_from([2, 3]), st.booleans(), st.booleans())
def test_odd_boxes(seed, num_nodes, dimensions, dense, unwrapped):
    """One to many cells along each axis on its own, clusters and empty regions, positions far outside the box."""
    rng = np.random.default_rng(seed)
    cutoff = rng.choice([0.3, 1.0, 2.0])
    box = cutoff * rng.choice([2.001, 2.4, 2.999, 3.001, 3.7, 4.5, 6.0, 9.3, 30.0], dimensions)
    positions = clustered(rng, num_nodes, box, dimensions) if dense else rng.random((num_nodes, dimensions)) * box
    if unwrapped:
        positions += rng.integers(-5, 6, positions.shape) * box * rng.choice([1, 1000])
    check_against_formula(positions, box, cutoff)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 150), st.sampled_from([1.3, 1.7, 2.0]), st.sampled_from([1, 2, 5]))
def test_tilted_cells(seed, num_nodes, cutoff, scale):
    """Two cells along an axis and more, where only the float64 test and where float32 sorts out."""
    rng = np.random.default_rng(seed)
    cell = TILTED * scale
    positions = (rng.random((num_nodes, 3)) * rng.choice([0.3, 1.0]) + rng.integers(-3, 4, (num_nodes, 3))) @ cell
    graph = bf.build_graph(positions, np.zeros(num_nodes, int), cell, cutoff)
    receivers, senders, vectors = brute_force.edges(positions, cell, cutoff)
    np.testing.assert_array_equal(graph.receivers, receivers)
    np.testing.assert_array_equal(graph.senders, senders)
    np.testing.assert_allclose(graph.vectors, vectors, atol=1e-6)
    check_structure(graph)


@pytest.mark.parametrize("box", [7.0, [9.0, 31.0, 6.5], [400.0, 400.0, 400.0], [12.0, 50.0]])
def test_float64_decides_at_the_cutoff(box):
    """The cutoff is the distance of one pair to the last bit: that pair is out, and in for the next larger number."""
    dimensions = 3 if np.ndim(box) == 0 else len(box)
    rng = np.random.default_rng(1)
    positions = rng.random((150, dimensions)) * box
    positions[75:] = positions[:75] + rng.normal(0, 1, (75, dimensions))
    i, j, d = bf.neighbor_list("ijd", positions, box, 3.0)
    for k in rng.permutation(len(d))[:60]:
        at = set(zip(*(a.tolist() for a in bf.neighbor_list("ij", positions, box, d[k])), strict=True))
        above = bf.neighbor_list("ij", positions, box, np.nextafter(d[k], 9))
        assert (i[k], j[k]) not in at
        assert (i[k], j[k]) in set(zip(*(a.tolist() for a in above), strict=True))


@pytest.mark.parametrize("scale", [1e-40, 1e-10, 1.0, 1e15, 1e40])
def test_units_do_not_matter(scale):
    """A power of two would be exact; whatever the unit, float32 neither overflows nor loses a pair."""
    scale = 2.0 ** np.round(np.log2(scale))
    positions = random_positions(400, 8.0, 3, seed=2)
    here = bf.neighbor_list("ijD", positions * scale, 8.0 * scale, 2.0 * scale)
    there = bf.neighbor_list("ijD", positions, 8.0, 2.0)
    np.testing.assert_array_equal(here[0], there[0])
    np.testing.assert_array_equal(here[1], there[1])
    np.testing.assert_array_equal(here[2], there[2] * scale)


@pytest.mark.parametrize("box", [1e5, 1e9, 1e14])
def test_huge_boxes(box):
    """In a box of a million cutoffs and more, float32 knows less and less, and then nothing."""
    rng = np.random.default_rng(4)
    positions = rng.random((300, 3)) * box
    positions[150:] = positions[:150] + rng.normal(0, 0.6, (150, 3))
    graph = check_against_formula(positions, box, 1.0)
    assert graph.num_edges > 50


def test_long_rows_on_both_sides_of_the_rank_limit():
    """Rows are ordered by ranks up to 256 edges and sorted beyond."""
    rng = np.random.default_rng(5)
    for count in (256, 257, 258, 600):
        positions = rng.permutation(10 + 0.2 * rng.standard_normal((count, 3)))
        graph = check_against_formula(positions, 40.0, 2.5)
        assert graph.row_ptr.diff().max() == count - 1


@pytest.mark.parametrize("dense", [False, True])
def test_many_particles(dense):
    """100,000 particles: some receivers against the formula, all against what every graph satisfies."""
    rng = np.random.default_rng(6)
    box = np.array([40.0, 43.0, 49.0]) * (4 if dense else 1)
    positions = clustered(rng, 100_000, box, 3) if dense else rng.random((100_000, 3)) * box
    cutoff = 2.0
    before = torch.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(bf.build_graph(positions, np.zeros(len(positions), int), box, cutoff))
    finally:
        torch.set_num_threads(before)
    graph = found[0]
    for other in found[1:]:
        for name, value in arrays(graph).items():
            assert value.tobytes() == arrays(other)[name].tobytes(), name
    check_structure(graph)
    receivers = rng.choice(len(positions), 60, replace=False)
    expected = formula(positions, box, cutoff, receivers)
    rows = [slice(graph.row_ptr[i], graph.row_ptr[i + 1]) for i in receivers]
    for name, value in zip(("receivers", "senders", "vectors"), expected, strict=True):
        np.testing.assert_array_equal(np.concatenate([getattr(graph, name)[row] for row in rows]), value)


@pytest.mark.parametrize("level", ["generic", "avx2", "avx512"])
def test_every_instruction_set_gives_the_same_bits(level, pytestconfig):
    """A machine without the set runs a narrower one; what it gives must be the same in any case."""
    environment = {**os.environ, "BOTAN_FAST_SIMD": level}
    command = [sys.executable, "-m", "tests.helpers.graph_digest"]
    options = {"env": environment, "cwd": pytestconfig.rootpath, "capture_output": True, "text": True}
    used, found = subprocess.run(command, check=True, **options).stdout.split()
    order = ["generic", "avx2", "avx512"]
    assert order.index(used) <= order.index(level)
    assert found == digest()
