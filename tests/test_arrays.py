"""CuPy arrays in, CuPy arrays out: with a stand-in for CuPy, whose arrays are NumPy's with DLPack."""

import sys
import types

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast import arrays


class FakeArray:
    """What botan_fast uses of a cupy.ndarray."""

    def __init__(self, array):
        self.array = array
        self.device = types.SimpleNamespace(id=0)

    def __dlpack__(self, **options):
        return self.array.__dlpack__()

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def get(self):
        return self.array.copy()


FakeArray.__module__ = "cupy"


@pytest.fixture
def fake_cupy(monkeypatch):
    module = types.ModuleType("cupy")
    module.asarray = FakeArray
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


def test_what_is_cupy(fake_cupy):
    assert arrays.is_cupy(FakeArray(np.zeros(2)))
    assert not any(arrays.is_cupy(x) for x in (np.zeros(2), torch.zeros(2), [0.0], 1.0))


def test_memory_is_shared(fake_cupy):
    array = np.arange(6.0).reshape(3, 2)
    tensor = arrays.as_tensor(FakeArray(array))
    tensor[1, 1] = 9
    assert array[1, 1] == 9
    assert arrays.as_tensor(tensor) is tensor
    assert arrays.as_tensor(array) is array


def test_results_are_of_the_library_of_the_input(fake_cupy):
    positions = np.array([[0.5, 0.0], [3.5, 0.0]])
    for given, kind in (
        (positions, np.ndarray),
        (torch.from_numpy(positions), torch.Tensor),
        (positions.tolist(), np.ndarray),
    ):
        assert all(type(x) is kind for x in bf.neighbor_list("ijdDS", given, 4.0, 1.5))
    assert type(arrays.like(FakeArray(positions), torch.zeros(2))) is FakeArray
    assert arrays.like(FakeArray(positions), torch.ones(2)).array.tolist() == [1.0, 1.0]


def test_cupy_arrays_are_read_as_numbers(fake_cupy):
    from botan_fast.checks import as_array
    from botan_fast.graph.inputs import check_types

    np.testing.assert_array_equal(as_array("positions", FakeArray(np.eye(2))), np.eye(2))
    assert check_types(FakeArray(np.array([0, 1])), 2).tolist() == [0, 1]
