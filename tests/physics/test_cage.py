"""Dynamics tied by springs: statistics known exactly, symmetries, the same bits for any number of threads."""

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.physics import cage as module
from tests.helpers import brute_force
from tests.physics.test_inherent import THREE, box_of, liquid

FREE = bf.LennardJones(1.0, 1.0, 0.05)  # particles that do not meet


def system(seed=3, dimensions=3, tilted=False, length=6.0, density=0.9):
    rng = np.random.default_rng(seed)
    box = box_of(dimensions, tilted, length)
    number = int(density * abs(np.linalg.det(brute_force.as_cell(box, dimensions))))
    positions, types = liquid(rng, box, dimensions, number, 3)
    return bf.inherent_structure(positions, types, box, THREE).positions, types, box


def sites(cells, dimensions):
    return np.stack(np.meshgrid(*[np.arange(cells)] * dimensions, indexing="ij"), -1).reshape(-1, dimensions) * 1.0


@pytest.mark.parametrize(("dimensions", "cells"), [(2, 40), (3, 12)])
def test_springs_alone(dimensions, cells):
    """Independent oscillators: <|r - r0|^2> = D T / k and <v^2> = D T, whatever the time step."""
    positions = 4 * sites(cells, dimensions)
    number, spring, temperature = len(positions), 5.0, 0.7
    options = {"spring": spring, "time": 60.0, "time_step": 0.02, "sample_every": 0.4, "equilibration": 4.0}
    found = bf.cage(positions, np.zeros(number, int), 4.0 * cells, temperature, FREE, **options)
    # The mean is that of the samples: <|r - <r>|^2> misses |<r> - r0|^2.
    spread = found.fluctuation + ((found.positions - positions) ** 2).sum(1)
    assert spread.mean() == pytest.approx(dimensions * temperature / spring, rel=0.012)
    assert found.temperature == pytest.approx(temperature, rel=0.012)
    assert found.steps == 3000
    # Each particle has noise of its own, alike in size and along every axis.
    assert np.unique(found.fluctuation).size == number
    assert spread.std() < 0.3 * spread.mean()
    moved = found.positions - positions
    np.testing.assert_allclose(moved.mean(0), 0, atol=1e-12)  # no drift of the whole
    covariance = np.cov(moved.T) / moved.var()
    np.testing.assert_allclose(covariance, np.eye(dimensions), atol=0.15)


def test_one_particle():
    options = {"spring": 2.0, "time": 4000.0, "time_step": 0.05, "sample_every": 1.0}
    found = bf.cage([[0.3, 4.9, 7.0]], [0], 5.0, 0.5, FREE, **options)
    assert found.fluctuation[0] == pytest.approx(3 * 0.5 / 2.0, rel=0.1)
    np.testing.assert_allclose(found.positions, [[0.3, 4.9, 7.0]], atol=1e-12)


def test_pairs():
    """Pairs far from each other: means are those of exp(-(V(r) + k/4 |r - r0|^2) / T), integrated over r."""
    potential, k, temperature, r0 = bf.LennardJones(1.0, 1.0, 2.5), 5.0, 0.3, 1.2
    first = 6 * sites(6, 3)
    second = first + np.array([r0, 0, 0])
    positions = np.concatenate([first, second])
    options = {"spring": k, "time": 32.0, "equilibration": 2.0}
    found = bf.cage(positions, np.zeros(len(positions), int), 36.0, temperature, potential, **options)
    r, cosine = np.linspace(0.7, 2.4, 1701)[:, None], np.linspace(-1, 1, 401)[None]
    energy = 4 * (r**-12 - r**-6) - (r - 2.5) * 4 * (-12 * 2.5**-13 + 6 * 2.5**-7)
    weight = r**2 * np.exp(-(energy + k / 4 * (r**2 + r0**2 - 2 * r * r0 * cosine)) / temperature)
    weight /= weight.sum()
    along, squared = (weight * r * cosine).sum(), (weight * r**2).sum()
    vectors = found.positions[len(first) :] - found.positions[: len(first)]
    np.testing.assert_allclose(vectors.mean(0), [along, 0, 0], atol=6 * vectors.std() / len(first) ** 0.5)
    # Twice the centre's 3 T / (2 k), and half of the vector's variance; that of the means of the samples is added.
    means = (found.positions - positions).reshape(2, -1, 3)
    means = means - means.mean(1, keepdims=True)
    measured = 2 * (found.fluctuation.mean() + (means**2).sum(2).mean())
    assert measured == pytest.approx(3 * temperature / k + 0.5 * (squared - along**2), rel=0.02)


@pytest.mark.parametrize(("dimensions", "tilted"), [(2, False), (2, True), (3, False), (3, True)])
def test_cages(dimensions, tilted):
    """Every particle near its place, across borders too; the springs hold what leaves without them."""
    positions, types, box = system(dimensions=dimensions, tilted=tilted)
    found = bf.cage(positions, types, box, 0.3, THREE)
    assert found.temperature == pytest.approx(0.3, rel=0.09)
    assert np.abs(found.positions - positions).max() < 0.6
    np.testing.assert_allclose((found.positions - positions).mean(0), 0, atol=1e-12)
    stiff = bf.cage(positions, types, box, 0.3, THREE, spring=100.0)
    assert 0 < stiff.fluctuation.mean() < 0.8 * found.fluctuation.mean()
    assert stiff.fluctuation.mean() < dimensions * 0.3 / 100  # the cage and the spring are stiffer than the spring
    # From any image of the positions to springs in any other.
    cell = brute_force.as_cell(box, dimensions)
    shifts = np.random.default_rng(1).integers(-2, 3, positions.shape) @ cell
    elsewhere = bf.cage(positions, types, box, 0.3, THREE, around=positions + shifts, time=2.0, equilibration=1.0)
    plain = bf.cage(positions, types, box, 0.3, THREE, time=2.0, equilibration=1.0)
    assert np.abs(elsewhere.positions - shifts - positions).max() < 0.6
    # Rounding of the start grows, in a dynamics this short not to the size of the motion.
    np.testing.assert_allclose(elsewhere.positions - shifts, plain.positions, atol=1e-3)


def test_crystal():
    """In a crystal all particles of one kind have one cage: the site, by symmetry."""
    cells, edge = 4, 1.5874  # fcc at density 1
    basis = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    lattice = edge * (sites(cells, 3)[:, None] + basis).reshape(-1, 3)
    found = bf.cage(lattice, np.zeros(len(lattice), int), cells * edge, 0.2, bf.LennardJones(1.0, 1.0), time=20.0)
    assert np.abs(found.positions - lattice).max() < 0.08
    assert (found.positions - lattice).std() < 0.02
    assert found.fluctuation.std() < 0.4 * found.fluctuation.mean()
    assert found.fluctuation.mean() < 0.03
    # Started elsewhere, it comes to where the springs are tied.
    start = lattice + np.random.default_rng(0).uniform(-0.1, 0.1, lattice.shape)
    other = bf.cage(start, np.zeros(len(lattice), int), cells * edge, 0.2, bf.LennardJones(1.0, 1.0), around=lattice)
    assert np.abs(other.positions - lattice).max() < 0.12


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_threads_and_slices_change_nothing(threads, monkeypatch):
    positions, types, box = system(length=10.0)
    assert len(positions) > 2 * 512  # several tasks
    results = []
    for number, size in ((1, 200_000), (2, 200_000), (3, 1)):
        threads(number)
        monkeypatch.setattr(module, "_SLICE", size)
        found = bf.cage(positions, types, box, 0.4, THREE, time=0.5, equilibration=0.2, friction=20.0)
        results.append((found.positions.tobytes(), found.fluctuation.tobytes(), found.temperature))
    assert results[0] == results[1] == results[2]


def test_seeds():
    positions, types, box = system()
    options = {"time": 0.6, "equilibration": 0.3}
    found = [bf.cage(positions, types, box, 0.4, THREE, seed=seed, **options) for seed in (5, 5, 6, 5 + 2**32)]
    np.testing.assert_array_equal(found[0].positions, found[1].positions)
    for other in found[2:]:
        assert np.abs(found[0].positions - other.positions).min() > 0


def test_units():
    """Lengths in another unit, energies in another: the same motion, scaled."""
    rng = np.random.default_rng(2)
    positions, types = liquid(rng, 6.5, 3, 200, 2)
    positions = bf.inherent_structure(positions, types, 6.5).positions
    argon = bf.LennardJones(np.array(bf.KOB_ANDERSEN.epsilon) * 4.0, np.array(bf.KOB_ANDERSEN.sigma) * 2.0)
    options = {"time": 0.6, "equilibration": 0.3}
    found = bf.cage(positions, types, 6.5, 0.4, **options)
    other = bf.cage(positions * 2, types, 13.0, 0.4, argon, **options)
    np.testing.assert_allclose(other.positions, 2 * found.positions, atol=1e-9)
    assert other.temperature == pytest.approx(found.temperature)


def test_no_particles():
    found = bf.cage(np.zeros((0, 3)), [], 5.0, 0.4)
    assert (found.positions.shape, found.fluctuation.shape) == ((0, 3), (0,))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": 0}, "temperature = 0.0 must be positive"),
        ({"spring": -1}, "spring = -1.0 must be 0 or positive"),
        ({"friction": 0}, "friction = 0.0 must be positive"),
        ({"time": 1.0}, "time = 1 leaves no sample after equilibration = 1.5, one every 0.1; give a longer time"),
        ({"seed": -1}, "seed = -1 must be a whole number, at least 0"),
        ({"around": [[0.0, 0, 0]]}, r"around has shape \(1, 3\); positions need \(2, 3\)"),
        ({"around": [[0.0, 0, 0], [np.inf, 0, 0]]}, r"around\[1, 0\] = inf is not finite"),
        ({"box": 4.9}, r"box\[0\] = 4.9 is smaller than 2 \* cutoff = 5.0"),
        ({"types": [0, 2]}, r"types\[1\] = 2, but the potential has 2 species"),
        ({"positions": [[0.0, 0, 0], [6.0, 6, -6]]}, r"positions\[0\] and positions\[1\] are the same point"),
        ({"positions": [[0.0, 0, 0], [0.3, 0, 0]]}, r"positions\[0\] leaps in step 1 of time_step = 0.005; .*overlaps"),
    ],
)
def test_what_is_refused(change, message):
    arguments = {"positions": [[0.0, 0, 0], [1.0, 0, 0]], "types": [0, 1], "box": 6.0, "temperature": 0.4} | change
    with pytest.raises(InputError, match=message):
        bf.cage(**arguments)


def test_a_temperature_that_is_not_held():
    positions, types, box = system()
    with pytest.raises(InputError, match=r"time_step = 0.05.*give a smaller time_step"):
        bf.cage(positions, types, box, 0.4, THREE, time_step=0.05)
    # From a minimum, half of the heat goes into the potential energy, and the friction has no time to bring it.
    with pytest.raises(InputError, match=r"temperature = 0.4 is not held: .* give a longer equilibration or a larger"):
        bf.cage(positions, types, box, 0.4, THREE, time=0.5, equilibration=0.2, friction=0.01)


def test_it_can_be_interrupted(monkeypatch):
    """It returns to Python every few steps, where a signal raises."""
    calls = []

    class Endless:
        num_steps = 0

        def __init__(self, *arguments):
            pass

        def run(self, steps):
            calls.append(steps)
            self.num_steps += steps
            if len(calls) == 3:
                raise KeyboardInterrupt
            return -1

    monkeypatch.setattr(module._core, "ConfinedDynamics", Endless)
    rng = np.random.default_rng(0)
    with pytest.raises(KeyboardInterrupt):
        bf.cage(rng.random((2000, 3)) * 12, np.zeros(2000, int), 12.0, 0.4)
    assert calls == [100] * 3
