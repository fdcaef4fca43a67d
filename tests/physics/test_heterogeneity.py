"""Overlap of propensities and their correlation in space, against loops over all pairs."""

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.physics.heterogeneity import correlation_edges, pair_sums, propensity_overlap

RNG = np.random.default_rng(4)
EDGES = np.array([0.0, 0.5, 0.9, 1.4, 1.9])
CELLS = {
    "cube": np.diag([4.0, 4.0, 4.0]),
    "tilted": np.array([[4.5, 0.0, 0.0], [1.0, 4.5, 0.0], [0.5, 1.2, 4.5]]),
    "flat": np.array([[6.0, 0.0], [2.0, 5.0]]),
}


def brute_force(positions, cell, values, edges):
    """The sums by their definition: every pair, every image of the cell around."""
    number, dimensions = positions.shape
    shifts = np.stack(np.meshgrid(*[(-1, 0, 1)] * dimensions), -1).reshape(-1, dimensions) @ cell
    sums = np.zeros((3, len(edges) - 1))
    for i in range(number):
        for j in range(i + 1, number):
            distance = np.linalg.norm(positions[j] - positions[i] + shifts, axis=1).min()
            for k in range(len(edges) - 1):
                if edges[k] <= distance < edges[k + 1]:
                    sums[:, k] += 1, values[i] + values[j], values[i] * values[j]
    return sums


@pytest.mark.parametrize("name", CELLS)
def test_sums_are_those_of_all_pairs(name):
    cell = CELLS[name]
    positions = RNG.random((60, len(cell))) @ cell
    values = RNG.standard_normal(60)
    found = pair_sums(positions, cell, values, EDGES)
    expected = brute_force(positions, cell, values, EDGES)
    assert expected[0].sum() > 100
    np.testing.assert_array_equal(found.number, expected[0])
    np.testing.assert_allclose(found.both, expected[1], atol=1e-12)
    np.testing.assert_allclose(found.product, expected[2], atol=1e-12)


def test_the_first_edge_is_a_bound():
    positions = RNG.random((60, 3)) * 4
    values = np.ones(60)
    whole = pair_sums(positions, [4.0] * 3, values, EDGES)
    part = pair_sums(positions, [4.0] * 3, values, EDGES[1:])
    np.testing.assert_array_equal(part.number, whole.number[1:])


def test_the_correlation_is_that_of_fluctuations():
    """By hand over pairs, for configurations together, and whatever is added to all values."""
    box, edges = [5.0] * 3, np.array([0.0, 1.0, 2.0])
    parts = [(RNG.random((40, 3)) * 5, RNG.standard_normal(40) + shift) for shift in (0.0, 0.3, -0.2)]
    every = np.concatenate([values for _, values in parts])
    mean, variance = every.mean(), every.var()
    products, numbers = np.zeros(2), np.zeros(2)
    for positions, values in parts:
        fluctuation = values - mean
        sums = brute_force(positions, np.diag(box), fluctuation, edges)
        numbers, products = numbers + sums[0], products + sums[2]
    expected = products / numbers / variance
    for added in (0.0, 1000.0):
        first, second, third = (pair_sums(positions, box, values + added, edges) for positions, values in parts)
        found = (first + second + third).correlation(mean + added, variance)
        np.testing.assert_allclose(found, expected, atol=1e-7)


def test_like_neighbours_are_correlated_and_strangers_are_not():
    positions = RNG.random((2000, 3)) * 12
    box = [12.0] * 3
    wave = np.sin(2 * np.pi * positions[:, 0] / 12)
    noise = RNG.standard_normal(2000)
    edges = correlation_edges(box, 3, 2000)
    smooth = pair_sums(positions, box, wave, edges).correlation(wave.mean(), wave.var())
    rough = pair_sums(positions, box, noise, edges).correlation(noise.mean(), noise.var())
    near = slice(2, 6)  # bins with hundreds of pairs
    assert (smooth[near] > 0.8).all()
    assert (np.abs(rough[-6:]) < 0.05).all()
    # The mean of cos(k d_x) over a shell of radius r, of a plane wave.
    r = (edges[:-1] + edges[1:]) / 2
    np.testing.assert_allclose(smooth[4:], np.sinc(2 * r[4:] / 12), atol=0.06)


def test_without_variance_or_pairs_there_is_no_number():
    sums = pair_sums([[0.5, 0.5], [1.5, 0.5]], [4.0, 4.0], [1.0, 1.0], EDGES)
    assert np.isnan(sums.correlation(1.0, 0.0)).all()
    assert np.isnan(sums.correlation(0.0, 1.0)[:2]).all()
    assert sums.correlation(0.0, 1.0)[2] == 1.0


def test_edges_end_at_half_the_width():
    assert correlation_edges([20.0, 30.0, 40.0], 3, 1000)[-1] == 4.0
    assert correlation_edges([3.0, 30.0, 40.0], 3, 1000)[-1] == 1.5
    # the width of a tilted cell is the distance of its faces, not the length of its edges
    tilted = np.array([[4.0, 0.0], [3.0, 2.0]])
    width = min(8.0 / np.linalg.norm(row) for row in tilted)
    assert correlation_edges(tilted, 2, 50)[-1] == pytest.approx(0.25 * np.floor(width / 2 / 0.25))
    pair_sums(RNG.random((50, 2)) @ tilted, tilted, np.ones(50), correlation_edges(tilted, 2, 50))  # which fits


@pytest.mark.parametrize("dimensions", [2, 3])
def test_edges_end_before_memory_does(dimensions):
    """A million particles at density 1: the ball within the last edge holds 30 of each at most, and nearly so many."""
    edge = 1e6 ** (1 / dimensions)
    last = correlation_edges([edge] * dimensions, dimensions, 1_000_000)[-1]
    ball = {2: np.pi, 3: 4 / 3 * np.pi}[dimensions]
    assert ball * last**dimensions <= 30 < ball * (last + 0.25) ** dimensions
    assert correlation_edges([50.0] * 3, 3, 100_000)[-1] == 4.0


def test_the_overlap_of_one_run_is_that_of_displacements():
    start = RNG.random((50, 3)) * 5
    moved = start + 0.2 * RNG.standard_normal((50, 3))
    length = np.linalg.norm(moved - start, axis=1)
    assert propensity_overlap(length, 0.3) == bf.overlap(start, moved, 0.3)
    assert propensity_overlap([1.0, 2.0], 2.0) == 0.5  # a value equal to the length does not count


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: propensity_overlap([], 1.0), r"values has shape \(0,\); give \(N,\) numbers, N > 0"),
        (lambda: propensity_overlap([[1.0]], 1.0), "values has shape"),
        (lambda: propensity_overlap([1.0, np.nan], 1.0), "values"),
        (lambda: propensity_overlap([1.0], np.nan), "length = nan must be a finite number"),
        (lambda: pair_sums(np.ones((2, 3)), [5.0] * 3, [1.0], EDGES), "but there are 2 positions; give one for each"),
        (lambda: pair_sums(np.ones((1, 3)), [5.0] * 3, [1.0], [0.0]), "give two or more ascending"),
        (lambda: pair_sums(np.ones((1, 3)), [5.0] * 3, [1.0], [0.0, 2.0, 1.0]), "give two or more ascending"),
        (lambda: pair_sums(np.ones((1, 3)), [5.0] * 3, [1.0], [-1.0, 1.0]), "not negative"),
        (lambda: pair_sums(np.ones((1, 3)), [5.0] * 3, [1.0], [0.0, 3.0]), "cutoff"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call()
