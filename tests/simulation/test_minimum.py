"""Energies, forces and minima of the core against LAMMPS, from the same numbers."""

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.physics.inherent import energy_and_forces
from botan_fast.simulation.lammps import Lammps
from botan_fast.simulation.start import lattice, maxwell_boltzmann, wrap
from tests.helpers.simulations import TINY

NUMBER = 500
LENGTH = (NUMBER / 1.2) ** (1 / 3)


@pytest.fixture(scope="module")
def liquid():
    """A liquid at T = 1, and what LAMMPS says of it."""
    pytest.importorskip("lammps", reason="the extra md is not installed")
    rng = np.random.default_rng(4)
    positions, types = lattice(NUMBER, 0.2, LENGTH, rng)
    with Lammps(positions, maxwell_boltzmann(NUMBER, 2.0, rng), types, LENGTH) as lmp:
        lmp.thermostat(2.0, 1.0, 600, 0.2)
        positions = lmp.positions
    with Lammps(wrap(positions, LENGTH), np.zeros((NUMBER, 3)), types, LENGTH) as lmp:
        lmp.start_constant_energy()
        return positions, types, lmp.potential_energy, lmp.forces


def test_energy_and_forces(liquid):
    positions, types, total, forces = liquid
    energy, own = energy_and_forces(positions, types, LENGTH)
    assert energy.sum() == pytest.approx(total, rel=1e-12)
    np.testing.assert_allclose(own, forces, atol=1e-9)


def test_minimum(liquid):
    """From near a minimum both end in it."""
    positions, types, *_ = liquid
    rng = np.random.default_rng(8)
    start = bf.inherent_structure(positions, types, LENGTH).positions + 0.02 * rng.standard_normal((NUMBER, 3))
    found = bf.inherent_structure(start, types, LENGTH)
    with Lammps(wrap(start, LENGTH), np.zeros((NUMBER, 3)), types, LENGTH) as lmp:
        lmp.minimize(force=1e-5, steps=10_000)
        lmp.start_constant_energy()
        energy, moved = lmp.potential_energy, lmp.positions - wrap(start, LENGTH)
    assert found.energy.sum() == pytest.approx(energy, abs=1e-6 * NUMBER)
    np.testing.assert_allclose(moved, found.positions - start, atol=1e-3)


def test_simulate_stores_it(tmp_path):
    """Of the potential that is simulated, at the positions that the runs start from."""
    pytest.importorskip("lammps", reason="the extra md is not installed")
    options = TINY | {"configurations": 1, "configurations_per_quench": 1, "epsilon": (1.0, 1.4, 0.5)}
    bf.simulate(tmp_path / "ka.h5", inherent=True, **options)
    sample = bf.Dataset(tmp_path / "ka.h5")[0]
    potential = bf.LennardJones(((1.0, 1.4), (1.4, 0.5)), bf.KOB_ANDERSEN.sigma)
    assert sample.inherent.potential == potential
    found = bf.inherent_structure(sample.positions, sample.types, sample.box, potential)
    np.testing.assert_array_equal(sample.inherent.positions, found.positions)
    assert sample.inherent.mean_energy < sample.energy - 0.1
    bf.simulate(tmp_path / "plain.h5", **options)
    assert bf.Dataset(tmp_path / "plain.h5")[0].inherent is None
