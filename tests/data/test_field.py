"""The field of a configuration in files: of the right name and time, and nothing where no runs are held."""

import numpy as np

import botan_fast as bf
from botan_fast.data.field import field_of


def mean_field(path):
    """By the definition, from the arrays of the file."""
    arrays = np.load(path)
    x, runs = arrays["initial_positions"], arrays["positions"]
    box = (len(x) / 1.2) ** (1 / 3)
    moved = (runs - x).mean(axis=0)
    apart = x[:, None] - x
    distance = np.linalg.norm(apart - box * np.round(apart / box), axis=-1)
    near = (distance < 1.35) & (distance > 0)
    return np.array([moved[row].mean(axis=0) if row.any() else own for row, own in zip(near, moved, strict=True)])


def test_the_configuration_of_this_name(tiny_data):
    box = bf.load_samples(tiny_data / "test/conf_21.npz")[0].box
    found = field_of(str(tiny_data / "test/*.npz"), "conf_21", box)
    np.testing.assert_allclose(found, mean_field(tiny_data / "test/conf_21.npz"), atol=1e-5)


def test_no_runs_no_field(tiny_data, tmp_path):
    box = bf.load_samples(tiny_data / "test/conf_21.npz")[0].box
    assert field_of(str(tiny_data / "test/*.npz"), "conf_1", box) is None  # another name
    bf.convert(str(tiny_data / "test/*.npz"), tmp_path / "test.h5", time=1.0, progress=False)
    assert field_of(tmp_path / "test.h5", "conf_21", box) is None
