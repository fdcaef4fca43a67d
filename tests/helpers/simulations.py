"""A tiny simulation, and the arrays of the data sets that simulations make."""

import h5py
import numpy as np

TINY = {
    "num_particles": 160, "runs": 2, "times": [0.05, 0.2], "melt_time": 1.0, "quench_time": 4.0, "tau_alpha": 1.0,
    "equilibration": 4.0, "decorrelation": 1.0, "configurations": 4, "configurations_per_quench": 2,
    "checkpoint_steps": 150, "seed": 5, "progress": False,
}  # fmt: skip


def contents(*paths):
    """Every array of data sets, by configuration name."""
    result = {}
    for path in paths:
        with h5py.File(path) as file:
            for group in file["configurations"].values():
                arrays = {}
                group.visititems(
                    lambda name, item, arrays=arrays: (
                        arrays.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None
                    )
                )
                name = group.attrs["name"]
                result[name.decode() if isinstance(name, bytes) else name] = arrays
    return result


def assert_same(first, second):
    assert sorted(first) == sorted(second)
    for name, arrays in first.items():
        assert sorted(arrays) == sorted(second[name])
        for key, array in arrays.items():
            np.testing.assert_array_equal(array, second[name][key], err_msg=f"{name} {key}")
