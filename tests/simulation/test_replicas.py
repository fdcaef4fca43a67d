"""Runs at constant energy and at constant temperature, and the energy of a configuration."""

import json
import signal
import subprocess
import sys

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.simulation.ensemble import simulate
from botan_fast.simulation.lammps import Lammps
from botan_fast.simulation.start import lattice, maxwell_boltzmann
from tests.helpers.simulations import TINY, assert_same, contents


@pytest.mark.usefixtures("lammps")
def test_the_energy_of_a_configuration_is_stored(whole):
    result, data, path = whole
    dataset = bf.Dataset(path)
    work = path.with_name("ka.h5.work") / "T0.64"
    energies = dict(zip(dataset.names, dataset.energies, strict=True))
    assert sorted(energies) == sorted(data)
    for check in result.configurations:
        assert check.energy == energies[check.name]
        arrays = data[check.name]
        assert check.energy == pytest.approx(energy_by_definition(arrays["positions"], arrays["types"]), rel=1e-9)
        assert json.loads((work / "reports" / f"{check.name}.json").read_text())["energy"] == check.energy
    assert dataset[0].energy == dataset.energies[0]


def energy_by_definition(positions, types):
    length, total = (len(positions) / 1.2) ** (1 / 3), 0.0
    for i in range(len(positions)):
        d = positions[i + 1 :] - positions[i]
        r = np.linalg.norm(d - length * np.rint(d / length), axis=1)
        kind = types[i + 1 :] + types[i]
        epsilon, sigma = np.array([1.0, 1.5, 0.5])[kind], np.array([1.0, 0.8, 0.88])[kind]
        s, c = sigma / r, 1 / 2.5
        shift = 4 * epsilon * (c**12 - c**6)
        slope = -24 * epsilon / (2.5 * sigma) * (2 * c**12 - c**6)
        each = 4 * epsilon * (s**12 - s**6) - shift - (r - 2.5 * sigma) * slope
        total += each[r < 2.5 * sigma].sum()
    return total / len(positions)


NVT = {**TINY, "runs": 4, "configurations": 1, "configurations_per_quench": 1, "replicas": "nvt"}


@pytest.fixture(scope="module")
def thermostatted(tmp_path_factory):
    """An uninterrupted simulation with runs at constant temperature."""
    pytest.importorskip("lammps", reason="the extra md is not installed")
    path = tmp_path_factory.mktemp("nvt") / "ka.h5"
    return simulate(path, **NVT), contents(path), path


def test_runs_at_constant_temperature(whole, thermostatted):
    result, data, path = thermostatted
    _, others, _ = whole
    [(name, arrays)] = data.items()
    # The same configuration and velocities as at constant energy, and another motion from them.
    np.testing.assert_array_equal(arrays["positions"], others[name]["positions"])
    difference = np.abs(arrays["times/001/propensity"] - others[name]["times/001/propensity"])
    assert 0 < difference.max() < 0.5
    assert 0 < result.configurations[0].energy_drift < 0.005
    assert json.loads(path.with_name("ka.h5.work").joinpath("T0.64", "protocol.json").read_text())["replicas"] == "nvt"
    assert bf.Dataset(path)[0].source.endswith("nvt")
    with pytest.raises(InputError, match=r"replicas = nve but .* was begun with nvt"):
        simulate(path, **{**NVT, "replicas": "nve"})


@pytest.mark.usefixtures("lammps")
def test_the_thermostat_holds_the_temperature():
    """From velocities far too slow: at constant energy it stays cold, at constant temperature it warms up."""
    generator = np.random.default_rng(3)
    positions, types = lattice(216, 0.2, 6.0, generator)
    velocities = maxwell_boltzmann(216, 0.05, generator)
    for start, warm in (("start_constant_energy", False), ("start_thermostat", True)):
        with Lammps(positions, velocities, types, 6.0, time_step=0.002) as lmp:
            lmp.minimize()
            getattr(lmp, start)(*((1.0, 1.0, 0.2) if warm else ()))
            before = lmp.conserved_energy
            for _ in lmp.steps(2000):
                pass
            assert abs(lmp.conserved_energy - before) / 216 < 0.01
            temperatures = [lmp.temperature for _ in lmp.steps(3000)]
        assert (np.mean(temperatures) > 0.8) == warm


@pytest.mark.usefixtures("lammps")
@pytest.mark.parametrize("call", ["save_system", "save_run"])
def test_resume_at_constant_temperature(thermostatted, tmp_path, call, pytestconfig):
    _, data, _ = thermostatted
    path = tmp_path / "ka.h5"
    command = [sys.executable, "-m", "tests.helpers.killed_simulation", str(path), call, json.dumps(NVT)]
    child = subprocess.run(command, cwd=pytestconfig.rootpath, timeout=120)
    assert child.returncode == -signal.SIGKILL
    simulate(path, **NVT)
    assert_same(contents(path), data)


@pytest.mark.usefixtures("lammps")
def test_a_folder_of_before_there_was_a_choice(tmp_path):
    path = tmp_path / "ka.h5"
    options = {**NVT, "replicas": "nve"}
    simulate(path, **options)
    protocol = tmp_path / "ka.h5.work" / "T0.64" / "protocol.json"
    stored = json.loads(protocol.read_text())
    del stored["replicas"]
    protocol.write_text(json.dumps(stored))
    [report] = (tmp_path / "ka.h5.work" / "T0.64" / "reports").iterdir()
    old = json.loads(report.read_text())
    report.write_text(json.dumps({k: old[k] for k in ("name", "energy_drift", "temperature", "scattering")}))
    with pytest.raises(InputError, match=r"replicas = nvt but .* was begun with nve"):
        simulate(path, **NVT)
    result = simulate(path, **options)
    assert result.configurations[0].energy is None
    assert np.isnan(result.scattering_at(7.25)).all()
    assert np.isfinite(result.scattering).all()


@pytest.mark.usefixtures("lammps")
def test_without_a_particles(tmp_path):
    result = simulate(tmp_path / "ka.h5", **{**TINY, "configurations": 1, "fraction_b": 1.0, "potential_cutoff": 2.0})
    assert 1 > result.scattering[0] > result.scattering[1] > 0


@pytest.mark.usefixtures("lammps")
def test_further_targets_are_those_of_the_trajectories(tmp_path):
    """R, D and G beside S and E: what `isoconfigurational_targets` makes of the runs that were kept."""
    options = {**TINY, "configurations": 1, "runs": 3}
    simulate(tmp_path / "ka.h5", targets="SERD", keep_trajectories=True, **options)
    simulate(tmp_path / "se.h5", **options)
    [own] = contents(tmp_path / "ka.h5").values()
    [plain] = contents(tmp_path / "se.h5").values()
    for name, array in plain.items():
        np.testing.assert_array_equal(own.pop(name), array)
    assert {name.split("/")[-1] for name in own} == {
        "strain_relative_propensity", "nonaffine_displacement", "local_strain"
    }  # fmt: skip
    sample = bf.load_samples(tmp_path / "ka.h5", time=0.2)[0]
    runs = sorted((tmp_path / "ka.h5.work").glob("T0.64/runs/*/*.npz"))
    trajectories = np.stack([np.load(file)["positions"][1] for file in runs])
    again = bf.isoconfigurational_targets(sample.positions, trajectories, sample.graph, which="SERD")
    np.testing.assert_array_equal(own["times/001/strain_relative_propensity"], again.strain_relative_propensity)
    np.testing.assert_array_equal(own["times/001/nonaffine_displacement"], again.nonaffine_displacement)
    with pytest.raises(InputError, match="which has 'X'"):
        simulate(tmp_path / "x.h5", targets="SX", **options)
