"""local_mechanics against derivatives of the energy, taken by differences."""

import numpy as np
import pytest
import torch

import botan_fast as bf

MIXTURE = bf.LennardJones(((1.0, 1.5), (1.5, 0.5)), ((1.0, 0.8), (0.8, 0.88)))


def configuration(number=60, dimensions=3, seed=0):
    """Particles on a shaken lattice: no pair so close that differences of energies are rounding."""
    rng = np.random.default_rng(seed)
    length = 5.6 if dimensions == 3 else 9.0
    side = int(np.ceil(number ** (1 / dimensions)))
    lattice = np.stack(np.meshgrid(*[np.arange(side)] * dimensions, indexing="ij"), -1).reshape(-1, dimensions)
    positions = (lattice[:number] + 0.5) * (length / side) + 0.05 * rng.standard_normal((number, dimensions))
    return positions, rng.integers(0, 2, number), np.full(dimensions, length)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("truncation", ["force-shifted", "shifted"])
def test_second_differences_of_the_energy(dimensions, truncation):
    x, types, box = configuration(dimensions=dimensions)
    potential = bf.LennardJones(MIXTURE.epsilon, MIXTURE.sigma, truncation=truncation)
    found = bf.local_mechanics(x, types, box, potential)

    def total(y):
        return bf.potential_energy(y, types, box, potential).sum()

    step = 1e-4
    for i in (0, 7, len(x) - 1):
        hessian = np.empty((dimensions, dimensions))
        for a in range(dimensions):
            for b in range(dimensions):
                moved = []
                for s, t in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
                    y = x.copy()
                    y[i, a] += s * step
                    y[i, b] += t * step
                    moved.append(s * t * total(y))
                hessian[a, b] = sum(moved) / (4 * step**2)
        assert found.stiffness[i] == pytest.approx(np.trace(hessian), rel=1e-4)
        softness = (1 / (np.maximum(np.linalg.eigvalsh(hessian), 0) + 1)).sum()
        assert found.softness[i] == pytest.approx(softness, rel=1e-3)


def test_virial_is_the_change_of_the_energy_with_the_scale():
    x, types, box = configuration()
    found = bf.local_mechanics(x, types, box, MIXTURE)
    step = 1e-6
    change = [bf.potential_energy(x * s, types, box * s, MIXTURE).sum() for s in (1 + step, 1 - step)]
    assert found.virial.sum() == pytest.approx(-(change[0] - change[1]) / (2 * step), rel=1e-6)


def test_threads_give_the_same_bits_and_an_empty_system_nothing():
    x, types, box = configuration(seed=3)
    before, found = torch.get_num_threads(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.append(bf.local_mechanics(x, types, box))
    torch.set_num_threads(before)
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)
    assert all(array.shape == (0,) for array in bf.local_mechanics(np.empty((0, 3)), [], 6.0))
