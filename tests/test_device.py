"""Which devices there are is said before anything is computed."""

import pytest
import torch

from botan_fast.device import choose_device
from botan_fast.errors import InputError


@pytest.mark.parametrize("name", ["meta", "xla", "vulkan", "hpu", "cpu:3", "cuda:99", "nonsense", 3.5])
def test_a_device_that_cannot_compute_is_refused(name):
    with pytest.raises(InputError, match="device = ") as error:
        choose_device(name)
    assert "\n" not in str(error.value)


def test_the_cpu_in_all_its_names():
    for name in ("cpu", "cpu:0", torch.device("cpu")):
        assert choose_device(name).type == "cpu"
