"""tau_alpha of a simulation's kept trajectories: made here with displacements whose F_s is known."""

import json

import numpy as np
import pytest

import botan_fast as bf
from benchmarks import relaxation
from botan_fast.errors import InputError

TIMES = np.geomspace(0.05, 200, 25)


def write_simulation(path, rng, taus, number=1500, runs=2):
    """Gaussian displacements in each run, of the width that makes F_s(2 pi, t) the curve of the paper's form."""
    length = (number / 1.2) ** (1 / 3)
    work = path.with_name(path.name + ".work") / "T0.64"
    with bf.DatasetWriter(path, cutoff=1.0) as writer:
        for state, tau in enumerate(taus):
            name = f"T0.64-{state // 2:04d}-{state % 2:02d}"
            start, types = rng.random((number, 3)) * length, np.arange(number) % 5 // 4
            curve = 0.2 * np.exp(-((TIMES / 0.2) ** 2)) + 0.8 * np.exp(-((TIMES / tau) ** 0.7))
            width = np.sqrt(-2 * np.log(curve)) / (2 * np.pi)
            (work / "runs" / name).mkdir(parents=True)
            for run in range(runs):
                moved = start + width[:, None, None] * rng.standard_normal((len(TIMES), number, 3))
                np.savez(work / "runs" / name / f"{run:04d}.npz", positions=moved, drift=0.0, temperature=0.64)
            times = [bf.TimeRecord(time, runs, np.zeros(number)) for time in (1.0, 10.0)]
            writer.add(bf.Record(name, start, types, length, 0.64, times))
    (work / "protocol.json").write_text(json.dumps({"times": TIMES.tolist()}))


def test_a_simulation(tmp_path, capsys):
    write_simulation(tmp_path / "ka.h5", np.random.default_rng(0), [15.0, 18.0, 16.5, 16.5])
    path = relaxation.main([str(tmp_path / "ka.h5")], folder=tmp_path / "results")
    record = json.loads(path.read_text())
    assert {"machine", "versions", "commit", "date"} <= set(record)
    [entry] = record["temperatures"]
    assert entry["paper_tau_alpha"] == 16.5
    assert entry["configurations"] == [f"T0.64-000{k // 2}-0{k % 2}" for k in range(4)]
    at_2_pi = entry["wave_numbers"]["2 pi"]
    assert np.shape(at_2_pi["scattering"]) == (4, 25)
    fixed, free = at_2_pi["fits"]
    for fit in (fixed, free):
        assert fit["tau_alpha"] == pytest.approx(16.5, rel=0.05)
        assert 0 < fit["uncertainty"] < 2
        assert fit["quenches"] == 2
        assert 0 < fit["uncertainty_by_quenches"] < 2
    assert fixed["short_exponent"] == 2.0
    assert at_2_pi["falls_to_1_over_e"] > entry["wave_numbers"]["7.25"]["falls_to_1_over_e"]
    assert "k = 2 pi: tau_alpha = " in capsys.readouterr().out


def test_without_trajectories(tmp_path):
    write_simulation(tmp_path / "ka.h5", np.random.default_rng(0), [15.0], number=200, runs=0)
    with pytest.raises(InputError, match="holds no run; simulate with --keep-trajectories"):
        relaxation.measure(tmp_path / "ka.h5")
    with pytest.raises(InputError, match="holds no configuration"):
        relaxation.measure(tmp_path / "other.h5")
