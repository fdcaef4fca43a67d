"""Fixtures that every test can ask for: a tiny data set, a tiny model, a SLURM of one machine."""

import os
import signal

import pytest
import torch

import botan_fast as bf
from tests.helpers.fake_slurm import FakeSlurm
from tests.helpers.tiny_data import TINY, write_tiny

# Left out, and said so in the header, rather than collected and skipped.
collect_ignore = [] if torch.cuda.is_available() else ["gpu"]


def pytest_report_header():
    return "tests/gpu: " + ("left out, torch sees no GPU" if collect_ignore else torch.cuda.get_device_name())


@pytest.fixture(scope="session", autouse=True)
def sigint_raises():
    """Ctrl-C works as in a terminal even where the tests run in the background of a shell, which ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory):
    """A folder with train/conf_{1,2,3,10}.npz and test/conf_{20,21}.npz."""
    folder = tmp_path_factory.mktemp("data")
    for part, numbers in (("train", (1, 2, 3, 10)), ("test", (20, 21))):
        (folder / part).mkdir()
        for number in numbers:
            write_tiny(folder / part / f"conf_{number}.npz", seed=number)
    return folder


@pytest.fixture
def tiny_model():
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return bf.BOTAN(**TINY)


@pytest.fixture
def tiny_model_file(tiny_model, tmp_path):
    path = tmp_path / "tiny_model.safetensors"
    bf.save_model(tiny_model, path)
    return path


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A SLURM whose programs are on the PATH."""
    found = FakeSlurm(tmp_path / "slurm")
    monkeypatch.setenv("PATH", f"{found.programs}:{os.environ['PATH']}")
    yield found
    found.kill()
