"""Predictions as Atoms of ASE: what they hold, and that they are read again."""

import sys

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.evaluation.columns import bonds_of, cell_of, particle_columns
from botan_fast.evaluation.prediction import FramePrediction
from botan_fast.formats import read
from tests.helpers.predictions import CELLS, full_prediction

ase = pytest.importorskip("ase")


@pytest.mark.parametrize("cell", CELLS)
def test_arrays_and_info(cell):
    p = full_prediction(cell)
    atoms = p.to_ase()
    columns = particle_columns(p)
    assert set(atoms.arrays) == {"numbers", "positions", "type", *columns}
    for name, values in columns.items():
        np.testing.assert_array_equal(atoms.arrays[name], values)
    np.testing.assert_array_equal(atoms.arrays["type"], p.types)
    np.testing.assert_array_equal(atoms.positions[:, : p.positions.shape[1]], p.positions)
    np.testing.assert_array_equal(atoms.cell.array, cell_of(p))
    assert atoms.pbc.tolist() == [True, True, p.positions.shape[1] == 3]
    assert (atoms.info["name"], atoms.info["units"]) == ("a", "lj")
    bonds = bonds_of(p)
    np.testing.assert_array_equal(atoms.info["pairs"], bonds.pairs)
    for name, values in bonds.columns.items():
        np.testing.assert_array_equal(atoms.info[name], values)
    lengths = [atoms.get_distance(i, j, mic=True) for i, j in bonds.pairs[:20]]
    np.testing.assert_allclose(lengths, bonds.columns["distance"][:20], rtol=1e-5)


def test_predict_reads_them_again(tmp_path, tiny_model):
    rng = np.random.default_rng(0)
    positions, types = rng.random((80, 3)) * 4.1, np.arange(80) % 5 // 4
    np.savez(tmp_path / "a.npz", positions=positions, types=types, box=4.1)
    [p] = bf.predict(tiny_model, tmp_path / "a.npz")
    for symbols in (None, ("Ni", "P")):
        [again] = bf.predict(tiny_model, p.to_ase(symbols=symbols))
        np.testing.assert_array_equal(again.types, types)
        np.testing.assert_allclose(again.propensity, p.propensity, atol=1e-6)


def test_ase_writes_and_reads_them(tmp_path):
    """Through extended XYZ of ASE: its own reader gets all arrays, and ours particles and cell."""
    from ase.io import read as read_of_ase

    p = full_prediction("restricted")
    p.to_ase().write(tmp_path / "a.extxyz")
    again = read_of_ase(tmp_path / "a.extxyz")
    for name, values in particle_columns(p).items():
        np.testing.assert_allclose(again.arrays[name], values, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(again.info["pairs"], bonds_of(p).pairs)
    np.testing.assert_allclose(again.info["pair_change"], bonds_of(p).columns["pair_change"], rtol=1e-6)
    [c] = read(tmp_path / "a.extxyz")
    np.testing.assert_array_equal(c.types, p.types)


def test_frames_and_times():
    p = full_prediction(kind=FramePrediction, frame=3, time=1.5, step=300)
    info = p.to_ase(bonds=0).info
    assert {key: info[key] for key in ("frame", "time", "step")} == {"frame": 3, "time": 1.5, "step": 300}
    assert "pairs" not in info
    assert "step" not in full_prediction(kind=FramePrediction).to_ase().info
    p = full_prediction(times=(0.1, 13.0))
    assert p.to_ase().info["times"].tolist() == [0.1, 13.0]
    assert "propensity_t13" in p.to_ase().arrays


def test_symbols():
    p = full_prediction()
    assert set(p.to_ase().get_chemical_symbols()) == {"X"}
    assert [p.to_ase(symbols=("Ni", "P")).get_chemical_symbols()[k] for k in (0, 4)] == ["Ni", "P"]
    with pytest.raises(InputError, match="symbols has 1 names for 2 species"):
        p.to_ase(symbols=["Ni"])
    with pytest.raises(InputError, match="symbols holds 'Q', which is no chemical symbol"):
        p.to_ase(symbols=["Q", "P"])


def test_without_the_packages(monkeypatch):
    monkeypatch.setitem(sys.modules, "ase", None)
    monkeypatch.setitem(sys.modules, "ovito.data", None)
    with pytest.raises(InputError, match=r'to_ase\(\) needs ASE: pip install "botan_fast\[ase\]"'):
        full_prediction().to_ase()
    with pytest.raises(InputError, match=r'to_ovito\(\) needs OVITO: pip install "botan_fast\[ovito\]"'):
        full_prediction().to_ovito()
