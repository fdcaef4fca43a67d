"""Energies and forces against their formula in float64, and minima that are minima."""

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.physics import inherent
from botan_fast.physics.inherent import energy_and_forces
from tests.helpers import brute_force

THREE = bf.LennardJones(
    epsilon=((1.0, 1.5, 0.8), (1.5, 0.5, 0.6), (0.8, 0.6, 1.2)),
    sigma=((1.0, 0.8, 0.9), (0.8, 0.88, 1.0), (0.9, 1.0, 1.1)),
    cutoff=((2.5, 2.0, 1.8), (2.0, 2.5, 2.2), (1.8, 2.2, 1.5)),
)
TRUNCATIONS = ("force-shifted", "shifted", "plain")


def formula(positions, types, box, potential):
    """Energy of each particle: every pair, every image that could be the nearest."""
    receivers, senders, vectors = brute_force.edges(positions, box, potential.longest)
    r, a, b = np.linalg.norm(vectors, axis=1), types[receivers], types[senders]
    epsilon, sigma = (np.array(table)[a, b] for table in (potential.epsilon, potential.sigma))
    cutoff = potential.distances[a, b]

    def phi(r):
        return 4 * epsilon * ((sigma / r) ** 12 - (sigma / r) ** 6)

    def slope(r):
        return -24 * epsilon / r * (2 * (sigma / r) ** 12 - (sigma / r) ** 6)

    energy = phi(r)
    if potential.truncation != "plain":
        energy -= phi(cutoff)
    if potential.truncation == "force-shifted":
        energy -= (r - cutoff) * slope(cutoff)
    return 0.5 * np.bincount(receivers, np.where(r < cutoff, energy, 0), len(positions))


def box_of(dimensions, tilted, length):
    if not tilted:
        return length * np.array([1.0, 1.1, 1.25])[:dimensions]
    return length * np.array([[1.2, 0, 0], [0.3, 1.2, 0], [-0.2, 0.35, 1.25]])[:dimensions, :dimensions]


def liquid(rng, box, dimensions, number, species):
    """Positions on a disturbed lattice, so that no two overlap, some of them in other images of the box."""
    cells = int(np.ceil(number ** (1 / dimensions)))
    sites = np.stack(np.meshgrid(*[np.arange(cells)] * dimensions, indexing="ij"), -1).reshape(-1, dimensions)
    fractions = (rng.permutation(sites)[:number] + rng.uniform(-0.12, 0.12, (number, dimensions))) / cells
    fractions += rng.integers(-2, 3, fractions.shape)
    return fractions @ brute_force.as_cell(box, dimensions), rng.integers(0, species, number)


CASES = [
    (dimensions, tilted, length, truncation)
    for dimensions in (2, 3)
    for tilted in (False, True)
    for length, truncation in [
        *((5.01, truncation) for truncation in TRUNCATIONS),
        (6.4, "force-shifted"),
        (8.5, "force-shifted"),  # three cells along an axis
    ]
]


@pytest.mark.parametrize(("dimensions", "tilted", "length", "truncation"), CASES)
def test_energy_and_forces_are_the_formula(dimensions, tilted, length, truncation):
    """Three species, boxes just large enough and larger; forces by differences of the energy."""
    rng = np.random.default_rng(7)
    potential = bf.LennardJones(THREE.epsilon, THREE.sigma, THREE.cutoff, truncation)
    box = box_of(dimensions, tilted, length)
    number = int(0.8 * abs(np.linalg.det(brute_force.as_cell(box, dimensions))))
    positions, types = liquid(rng, box, dimensions, number, 3)
    energy, forces = energy_and_forces(positions, types, box, potential)
    expected = formula(positions, types, box, potential)
    np.testing.assert_allclose(energy, expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_array_equal(bf.potential_energy(positions, types, box, potential), energy)
    np.testing.assert_allclose(forces.sum(0), 0, atol=1e-9 * np.abs(forces).max())
    if truncation == "force-shifted":  # the others jump at the cutoff
        for particle, axis in ((0, 0), (number // 2, 1), (number - 1, dimensions - 1)):
            step = np.zeros_like(positions)
            step[particle, axis] = 1e-5
            up, down = (bf.potential_energy(positions + sign * step, types, box, potential).sum() for sign in (1, -1))
            assert forces[particle, axis] == pytest.approx((down - up) / 2e-5, rel=1e-5, abs=1e-5)


def test_a_pair_by_hand():
    """Beyond the cutoff nothing, below it the three truncations; half of the pair each."""
    for r in (0.95, 1.5, 2.4999, 2.5, 2.6):
        for truncation in TRUNCATIONS:
            potential = bf.LennardJones(2.0, 1.0, 2.5, truncation)
            pair = np.array([[0.2, 0.0, 0.0], [0.2 - r, 0.0, 0.0]])
            phi = 8 * (r**-12 - r**-6)
            if truncation != "plain":
                phi -= 8 * (2.5**-12 - 2.5**-6)
            if truncation == "force-shifted":
                phi -= (r - 2.5) * 8 * (-12 * 2.5**-13 + 6 * 2.5**-7)
            energy = bf.potential_energy(pair, [0, 0], [6.0, 7.0, 8.0], potential)
            np.testing.assert_allclose(energy, [phi / 2 if r < 2.5 else 0] * 2, atol=1e-14)


@pytest.mark.parametrize(("dimensions", "tilted"), [(2, False), (2, True), (3, False), (3, True)])
def test_minimum(dimensions, tilted):
    """No force is left, the energy is lower and that of the place where it ends, which is as low as any near it."""
    rng = np.random.default_rng(3)
    box = box_of(dimensions, tilted, 7.0)
    number = int(0.9 * abs(np.linalg.det(brute_force.as_cell(box, dimensions))))
    positions, types = liquid(rng, box, dimensions, number, 3)
    before = bf.potential_energy(positions, types, box, THREE).sum()
    found = bf.inherent_structure(positions, types, box, THREE)
    energy, forces = energy_and_forces(found.positions, types, box, THREE)
    assert found.largest_force <= 1e-6
    assert np.abs(forces).max() == pytest.approx(found.largest_force, abs=1e-10)
    np.testing.assert_allclose(found.energy, energy, atol=1e-11)
    assert energy.sum() < before
    assert found.mean_energy == pytest.approx(energy.mean())
    assert 0 < np.abs(found.positions - positions).max() < 3.5  # never by a box length
    for _ in range(5):
        near = found.positions + 1e-3 * rng.standard_normal(positions.shape)
        assert bf.potential_energy(near, types, box, THREE).sum() > energy.sum()
    # A minimum stays where it is.
    again = bf.inherent_structure(found.positions, types, box, THREE)
    assert again.steps == 0
    np.testing.assert_array_equal(again.positions, found.positions)


def test_symmetries():
    """Translations, lattice vectors, permutations, a rotation of the box: the same minimum, moved alike."""
    rng = np.random.default_rng(5)
    box = np.array([6.2, 6.6, 7.0])
    positions, types = liquid(rng, box, 3, 200, 2)
    # Near a minimum, where no rounding decides between basins.
    positions = bf.inherent_structure(positions, types, box).positions + 0.02 * rng.standard_normal((200, 3))
    found = bf.inherent_structure(positions, types, box)
    order = rng.permutation(200)
    far = np.array([0.3, -7.1, 2.9])
    shifts = rng.integers(-3, 4, (200, 3)) * box
    cases = [
        (positions + far, types, box, found.positions + far, found.energy),
        (positions + shifts, types, box, found.positions + shifts, found.energy),
        (positions[order], types[order], box, found.positions[order], found.energy[order]),
        (positions[:, [2, 0, 1]], types, box[[2, 0, 1]], found.positions[:, [2, 0, 1]], found.energy),
        (positions, types, np.diag(box) + 1e-300, found.positions, found.energy),
    ]
    for moved, kinds, cell, expected, energy in cases:
        other = bf.inherent_structure(moved, kinds, cell)
        np.testing.assert_allclose(other.positions, expected, atol=1e-5)
        np.testing.assert_allclose(other.energy, energy, atol=1e-5)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_threads_and_slices_change_nothing(threads, monkeypatch):
    rng = np.random.default_rng(11)
    length = (6000 / 1.2) ** (1 / 3)
    positions, types = liquid(rng, length, 3, 6000, 2)
    results = []
    for number, size in ((1, 200_000), (2, 200_000), (3, 1)):
        threads(number)
        monkeypatch.setattr(inherent, "_SLICE", size)
        found = bf.inherent_structure(positions, types, length, force_tolerance=1e-2)
        results.append((found.steps, found.positions.tobytes(), found.energy.tobytes()))
    assert results[0] == results[1] == results[2]


def test_units():
    """Lengths in another unit, energies in another: the same way down, scaled."""
    rng = np.random.default_rng(2)
    positions, types = liquid(rng, 6.5, 3, 200, 2)
    argon = bf.LennardJones(np.array(bf.KOB_ANDERSEN.epsilon) * 4.0, np.array(bf.KOB_ANDERSEN.sigma) * 2.0)
    found, other = (
        bf.inherent_structure(positions, types, 6.5),
        bf.inherent_structure(positions * 2, types, 13.0, argon),
    )
    assert found.steps == other.steps
    np.testing.assert_allclose(other.positions, 2 * found.positions, atol=1e-9)
    np.testing.assert_allclose(other.energy, 4 * found.energy, atol=1e-9)


def test_far_from_a_minimum():
    """Random points, some of them almost on each other: it still ends, and no coordinate ever leaps."""
    rng = np.random.default_rng(1)
    positions, types = rng.random((150, 3)) * 5.3, np.zeros(150, int)
    positions[1] = positions[0] + 1e-4
    one = bf.inherent_structure(positions, types, 5.3, force_tolerance=1e300)
    assert one.steps == 0
    found = bf.inherent_structure(positions, types, 5.3)
    assert found.largest_force <= 1e-6
    assert found.mean_energy < -3
    with pytest.raises(
        InputError, match=r"force_tolerance = 1e-06 is not met after 2 steps: the largest force is .*max_"
    ):
        bf.inherent_structure(positions, types, 5.3, max_steps=2)


def test_few_particles():
    for number in (0, 1):
        found = bf.inherent_structure(np.zeros((number, 3)), np.zeros(number, int), 5.0)
        assert (found.positions.shape, found.energy.tolist(), found.steps) == ((number, 3), [0.0] * number, 0)
    potential = bf.LennardJones(1.0, 1.0, truncation="plain")
    found = bf.inherent_structure([[0.0, 0.0], [1.0, 0.3]], [0, 0], 8.0, potential)
    assert found.energy.sum() == pytest.approx(-1)
    assert np.linalg.norm(found.positions[1] - found.positions[0]) == pytest.approx(2 ** (1 / 6))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"positions": [[0.0, 0, 0], [np.nan, 0, 0]]}, r"positions\[1, 0\] = nan is not finite"),
        ({"positions": [[0.0, 0, 0], [6.0, 6, -6]]}, r"positions\[0\] and positions\[1\] are the same point"),
        ({"positions": [[0.0, 0, 0], [1e-20, 0, 0]]}, r"positions\[0\] is so close to another particle"),
        ({"types": [0, 2]}, r"types\[1\] = 2, but the potential has 2 species"),
        ({"types": [0]}, r"types has shape \(1,\); positions need \(2,\)"),
        ({"box": 4.9}, r"box\[0\] = 4.9 is smaller than 2 \* cutoff = 5.0"),
        ({"potential": "argon"}, "potential = 'argon' is unknown; give a LennardJones or 'kob-andersen'"),
        ({"force_tolerance": 0}, "force_tolerance = 0.0 must be positive"),
        ({"largest_move": -1}, "largest_move = -1.0 must be positive"),
        ({"max_steps": 1.5}, "max_steps = 1.5 must be a whole number"),
    ],
)
def test_what_is_refused(change, message):
    arguments = {"positions": [[0.0, 0, 0], [1.0, 0, 0]], "types": [0, 1], "box": 6.0} | change
    with pytest.raises(InputError, match=message):
        bf.inherent_structure(**arguments)


def test_a_minimisation_can_be_interrupted(monkeypatch):
    """It returns to Python every few steps, where a signal raises."""
    calls = []

    class Endless:
        num_steps, largest_force = 0, 1.0

        def __init__(self, *arguments):
            pass

        def run(self, steps, tolerance):
            calls.append(steps)
            self.num_steps += steps
            if len(calls) == 3:
                raise KeyboardInterrupt

    monkeypatch.setattr(inherent._core, "Minimization", Endless)
    rng = np.random.default_rng(0)
    with pytest.raises(KeyboardInterrupt):
        bf.inherent_structure(rng.random((2000, 3)) * 12, np.zeros(2000, int), 12.0)
    assert calls == [100] * 3
