"""The simulator: potential, protocol, conservation, and that a killed run continues to the same numbers."""

import argparse
import dataclasses
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from botan_fast.cli import main
from botan_fast.cli.simulate import add_arguments
from botan_fast.errors import InputError
from botan_fast.physics.kob_andersen import EPSILON
from botan_fast.physics.potential import binary
from botan_fast.simulation import ensemble as simulation
from botan_fast.simulation import lammps as kob_andersen
from botan_fast.simulation.ensemble import simulate
from botan_fast.simulation.lammps import Lammps, SimulationError
from botan_fast.simulation.protocol import Protocol
from botan_fast.simulation.start import lattice, maxwell_boltzmann, wrap
from botan_fast.simulation.work_folder import WorkFolder
from tests.helpers.simulations import TINY, assert_same, contents

# ---- potential and dynamics -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("lammps")
@pytest.mark.parametrize(("a", "b", "epsilon", "sigma"), [(0, 0, 1, 1), (0, 1, 1.5, 0.8), (1, 1, 0.5, 0.88)])
def test_potential_is_the_force_shifted_one(a, b, epsilon, sigma):
    rc = 2.5 * sigma
    phi = lambda r: 4 * epsilon * ((sigma / r) ** 12 - (sigma / r) ** 6)  # noqa: E731
    slope = lambda r: -24 * epsilon / r * (2 * (sigma / r) ** 12 - (sigma / r) ** 6)  # noqa: E731
    for r in (0.9 * sigma, 1.1, 2.4 * sigma, 2.4999 * sigma, 2.51 * sigma):
        # Across the boundary of the box, so that images are seen too.
        positions = np.array([[9.8, 5.0, 5.0], [9.8 + r - 10, 5.0, 5.0]])
        with Lammps(positions, np.zeros((2, 3)), [a, b], 10.0) as lmp:
            lmp.start_constant_energy()
            energy, forces = lmp.potential_energy, lmp.forces
        inside = r < rc
        assert energy == pytest.approx((phi(r) - phi(rc) - (r - rc) * slope(rc)) * inside, rel=1e-9, abs=1e-12)
        assert forces[1, 0] == pytest.approx(-(slope(r) - slope(rc)) * inside, rel=1e-9, abs=1e-12)
        np.testing.assert_allclose(forces[0], -forces[1], atol=1e-12)


@pytest.mark.usefixtures("lammps")
def test_positions_are_unwrapped():
    velocities = np.array([[3.0, 0.0, 0.0], [0.0, -3.0, 0.0]])
    with Lammps([[1.0, 1.0, 1.0], [6.0, 6.0, 6.0]], velocities, [0, 1], 10.0, time_step=0.01) as lmp:
        lmp.start_constant_energy()
        list(lmp.constant_energy(1000))
        moved = lmp.positions
    np.testing.assert_allclose(moved, [[31.0, 1.0, 1.0], [6.0, -24.0, 6.0]], atol=1e-9)


@pytest.mark.usefixtures("lammps")
def test_thermostat_follows_the_ramp():
    generator = np.random.default_rng(0)
    positions, types = lattice(200, 0.2, 5.5, generator)
    with Lammps(positions, maxwell_boltzmann(200, 3.0, generator), types, 5.5) as lmp:
        lmp.slice = 50  # the ramp goes over all parts
        temperatures = []
        lmp.thermostat(3.0, 3.0, 200, 0.2)
        lmp.thermostat(3.0, 1.0, 800, 0.2, lambda _: temperatures.append(lmp.temperature))
        assert lmp.thermostat(1.0, 1.0, 400, 0.2) == pytest.approx(1.0, abs=0.15)
    assert np.mean(temperatures[:4]) == pytest.approx(2.75, abs=0.5)
    assert np.mean(temperatures[-4:]) == pytest.approx(1.25, abs=0.4)


def test_velocities_have_the_temperature_and_no_momentum():
    velocities = maxwell_boltzmann(100, 0.44, np.random.default_rng(1))
    np.testing.assert_allclose(velocities.sum(0), 0, atol=1e-12)
    assert (velocities**2).sum() / (3 * 99) == pytest.approx(0.44, rel=1e-12)


def test_lattice_has_the_composition_and_no_overlap():
    for number in (2, 125, 126, 160):
        positions, types = lattice(number, 0.2, 5.0, np.random.default_rng(2))
        assert positions.shape == (number, 3)
        assert types.sum() == round(0.2 * number)
        assert ((positions >= 0) & (positions < 5)).all()
        assert len(np.unique(positions, axis=0)) == number


def test_wrapped_positions_lie_below_the_upper_face():
    wrapped = wrap(np.array([-1e-20, 0.0, 4.999, 5.0, 7.0, -0.5]), 5.0)
    np.testing.assert_allclose(wrapped, [0, 0, 4.999, 0, 2, 4.5])
    assert (wrapped < 5).all()


# ---- the protocol -----------------------------------------------------------------------------------------------


def test_order_of_the_protocol():
    protocol = Protocol(checkpoint_steps=50_000, configurations=5, configurations_per_quench=3).checked()
    pieces = protocol.pieces(0)
    # 20 at T = 5; the quench in 20; 40 tau_alpha = 660 in parts; then 165 twice
    assert pieces[:2] == [(5.0, 5.0, 4000), (5.0, 0.64, 4000)]
    assert pieces[2:] == [(0.64, 0.64, n) for n in (50_000, 50_000, 32_000, 33_000, 33_000)]
    assert protocol.starts(0) == {5: 0, 6: 1, 7: 2}
    assert protocol.num_quenches == 2
    assert [protocol.states(q) for q in (0, 1)] == [3, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"temperature": 0.56},
            r"known at temperature = 0.44, 0.5, 0.64, not at 0.56; give tau_alpha, an .* and times",
        ),
        ({"num_particles": 100}, "give at least 151 particles"),  # (150 / 1.2)^(1/3) is a little less than 5
        ({"num_particles": 150}, "give at least 151 particles"),
        ({"times": [0.001, 0.2]}, "times: 0.001 is less than half a step of dt = 0.005"),
        ({"runs": 0}, "runs = 0"),
        ({"dt": float("nan")}, "dt = nan"),
        ({"sigma": (1.0, 0.8)}, "three values"),
        ({"fraction_b": 1.5}, "larger than 1"),
        ({"particles": 100}, "particles is not an option"),
        ({"shard": "3/2"}, "shard = '3/2'"),
        ({"shard": "1/2"}, "more parts than the 1 quenches"),
    ],
)
def test_bad_options_are_named(tmp_path, options, message):
    with pytest.raises(InputError, match=message) as caught:
        simulate(tmp_path / "ka.h5", **options)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_missing_lammps_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "lammps", None)
    with pytest.raises(InputError, match=r'pip install "botan_fast\[md\]"'):
        simulate(tmp_path / "ka.h5")
    assert not list(tmp_path.iterdir())


def test_whole_simulation(whole):
    result, data, path = whole
    assert sorted(data) == ["T0.64-0000-00", "T0.64-0000-01", "T0.64-0001-00", "T0.64-0001-01"]
    assert result.output == path
    assert [check.name for check in result.configurations] == sorted(data)
    for check in result.configurations:
        assert 0 < check.energy_drift < 0.005
        assert check.temperature == pytest.approx(0.64, rel=0.25)  # 160 particles, hardly equilibrated
        assert 1 > check.scattering[0] > check.scattering[1] > 0.3
        assert all(a > b for a, b in zip(check.scattering, check.peak_scattering, strict=True))  # 2 pi < 7.25
    length = (160 / 1.2) ** (1 / 3)
    for arrays in data.values():
        assert arrays["positions"].dtype == np.float64
        assert ((arrays["positions"] >= 0) & (arrays["positions"] < length)).all()
        assert np.bincount(arrays["types"]).tolist() == [128, 32]
    starts = [arrays["positions"] for arrays in data.values()]
    assert all((a != b).any() for k, a in enumerate(starts) for b in starts[:k])


def test_targets_are_those_of_the_kept_trajectories(whole):
    _, data, path = whole
    work = path.with_name("ka.h5.work") / "T0.64"
    for name, arrays in data.items():
        runs = [np.load(work / "runs" / name / f"{run:04d}.npz") for run in range(2)]
        for index in range(2):
            moved = np.stack([r["positions"][index] for r in runs])
            expected = np.linalg.norm(moved - arrays["positions"], axis=2).mean(0)
            np.testing.assert_allclose(arrays[f"times/{index:03d}/propensity"], expected, rtol=1e-6)
        # the velocities differ from run to run
        assert np.abs(runs[0]["positions"] - runs[1]["positions"]).max() > 0.01


@pytest.mark.usefixtures("lammps")
def test_energy_drift_is_refused(tmp_path):
    with pytest.raises(SimulationError, match=r"dt = 0.005: the energy .* smaller dt"):
        simulate(tmp_path / "ka.h5", energy_tolerance=1e-9, **TINY)


# ---- kills, shards, more configurations -------------------------------------------------------------------------


def test_shards_equal_the_whole(whole, tmp_path):
    _, data, _ = whole
    results = [simulate(tmp_path / "ka.h5", shard=f"{i}/2", **TINY) for i in (1, 2)]
    assert [r.output.name for r in results] == ["ka.1-of-2.h5", "ka.2-of-2.h5"]
    assert_same(contents(*[r.output for r in results]), data)


@pytest.mark.usefixtures("lammps")
@pytest.mark.parametrize("call", ["save_system", "save_run", "save_report"])
def test_resume_after_a_kill_equals_the_whole(whole, tmp_path, call, pytestconfig):
    _, data, _ = whole
    path = tmp_path / "ka.h5"
    command = [sys.executable, "-m", "tests.helpers.killed_simulation", str(path), call, json.dumps(TINY)]
    child = subprocess.run(command, cwd=pytestconfig.rootpath, timeout=120)
    assert child.returncode == -signal.SIGKILL
    simulate(path, **TINY)
    assert_same(contents(path), data)
    assert not list(tmp_path.glob("**/*.tmp*"))


def test_finished_configurations_are_not_repeated(whole, tmp_path, monkeypatch):
    _, data, _ = whole
    path = tmp_path / "ka.h5"
    simulate(path, **{**TINY, "configurations": 3})
    assert sorted(contents(path)) == sorted(data)[:3]
    made = []
    original = simulation._Task.run
    monkeypatch.setattr(
        simulation._Task, "run", lambda self, name, *rest: made.append(name) or original(self, name, *rest)
    )
    simulate(path, **TINY)
    assert set(made) == {"T0.64-0001-01"}
    assert_same(contents(path), data)
    monkeypatch.setattr(simulation._Task, "quench", None)
    assert len(simulate(path, **TINY).configurations) == 4  # nothing left to do


def test_removed_data_set_is_made_again(whole, tmp_path):
    _, data, _ = whole
    path = tmp_path / "ka.h5"
    options = {**TINY, "configurations": 2}
    simulate(path, **options)
    path.unlink()
    simulate(path, **options)
    assert_same(contents(path), {name: data[name] for name in sorted(data)[:2]})


@pytest.mark.usefixtures("lammps")
def test_other_options_on_the_same_output_are_refused(tmp_path):
    options = {**TINY, "configurations": 1, "configurations_per_quench": 1}
    simulate(tmp_path / "ka.h5", **options)
    with pytest.raises(InputError, match=r"runs = 3 but .* was begun with 2"):
        simulate(tmp_path / "ka.h5", **{**options, "runs": 3})
    # another temperature has a protocol of its own and goes into the same file
    simulate(tmp_path / "ka.h5", **{**options, "temperature": 1.0})
    assert sorted(contents(tmp_path / "ka.h5")) == ["T0.64-0000-00", "T1-0000-00"]


@pytest.mark.usefixtures("lammps")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGUSR1, 138)])
def test_interrupt_leaves_a_state_that_continues(number, status, tmp_path):
    path = tmp_path / "ka.h5"
    arguments = ["-o", str(path), "--num-particles", "400", "--tau-alpha", "500", "--times", "0.1", "--quiet"]
    arguments += ["--melt-time", "0.1", "--quench-time", "0.1", "--checkpoint-steps", "50"]
    command = [sys.executable, "-m", "botan_fast", "simulate", *arguments]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    checkpoint = tmp_path / "ka.h5.work" / "T0.64" / "quench-0000.npz"
    try:
        deadline = time.monotonic() + 60
        while not checkpoint.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(child.pid, number)
        _, errors = child.communicate(timeout=60)
    finally:
        child.kill()
    assert child.returncode == status
    assert errors == "botan-fast: interrupted; the same command continues\n"
    assert int(np.load(checkpoint)["done"]) >= 1


def test_temporary_files_of_a_kill_go(tmp_path):
    protocol = Protocol(num_particles=160).checked()
    folder = WorkFolder(tmp_path / "ka.h5", protocol).path
    (folder / "runs/a").mkdir(parents=True)
    left = [folder / ".protocol.0123456789ab.tmp.json", folder / "runs/a/.0001.0123456789ab.tmp.npz"]
    for file in left:
        file.write_bytes(b"half")
    WorkFolder(tmp_path / "ka.h5", protocol)
    assert not any(file.exists() for file in left)
    assert (folder / "protocol.json").exists()


@pytest.mark.usefixtures("lammps")
@pytest.mark.parametrize(("limit", "number"), [("RLIMIT_NOFILE", 16), ("RLIMIT_FSIZE", 8192)])
def test_limits_that_end_mpi_are_named(limit, number, tmp_path):
    which = getattr(resource, limit)
    done = subprocess.run(
        [sys.executable, "-m", "botan_fast", "simulate", "-o", str(tmp_path / "ka.h5"), "--num-particles", "200"],
        preexec_fn=lambda: resource.setrlimit(which, (number, resource.getrlimit(which)[1])),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert re.fullmatch(
        rf"botan-fast: error: simulate: this process may have {number} .* raise the limit\n", done.stderr
    )
    assert list(tmp_path.iterdir()) == []


# ---- command line -----------------------------------------------------------------------------------------------


def test_command_has_the_defaults_of_the_protocol():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    arguments = vars(parser.parse_args(["-o", "ka.h5"]))
    for field in dataclasses.fields(Protocol):
        assert arguments[field.name] == field.default, field.name


@pytest.mark.usefixtures("lammps")
def test_command(tmp_path, capsys):
    line = (
        "--num-particles 160 --runs 2 --times 0.05 0.2 --tau-alpha 1 --equilibration 4 --melt-time 1 "
        "--quench-time 4 --quiet"
    )
    assert main(["simulate", "-o", str(tmp_path / "ka.h5"), *line.split()]) == 0
    out = capsys.readouterr().out
    assert "F_s(2 pi) falls to 1/e outside these times" in out
    assert "F_s(7.25) falls to 1/e outside these times" in out
    assert "in two steps, b_s = 2: not from these times (times holds 2 above 0; " in out
    assert "largest energy drift" in out
    assert (tmp_path / "ka.h5").exists()


def test_mpi_is_found_or_named(monkeypatch):
    monkeypatch.setattr(kob_andersen, "_MPI", "libmpi_that_does_not_exist.so")
    with pytest.raises(InputError, match=r"botan_fast\[md\]"):
        kob_andersen._load_mpi()


def test_potential_range():
    assert binary(EPSILON, (1.0, 0.8, 1.4), 2.5).longest == 3.5
