"""Tests on a GPU. tests/conftest.py leaves this folder out, and says so in the header, where torch sees none."""

import pytest
import torch


@pytest.fixture
def device():
    return torch.device("cuda", torch.cuda.current_device())
