"""A tiny data set in the format of the authors' files, and a tiny model."""

import signal

import numpy as np
import pytest
import torch

import botan_fast as bf

NUM_PARTICLES = 80  # at density 1.2 the box is 4.05 wide, just more than twice the cutoff
DENSITY = 1.2
TINY = {"hidden_size": 32, "num_steps": 2}  # a size with compiled kernels

# Left out, and said so in the header, rather than collected and skipped.
collect_ignore = [] if torch.cuda.is_available() else ["gpu"]


def pytest_report_header():
    return "tests/gpu: " + ("left out, torch sees no GPU" if collect_ignore else torch.cuda.get_device_name())


def tiny_arrays(seed: int, number: int = NUM_PARTICLES, dimensions: int = 3, runs: int = 6) -> dict[str, np.ndarray]:
    """The arrays of one file: random particles whose displacements grow with their coordinate number."""
    rng = np.random.default_rng(seed)
    edge = (number / DENSITY) ** (1 / dimensions)
    initial = rng.random((number, dimensions)) * edge
    types = (np.arange(number) % 5 == 4).astype(np.int8)
    difference = initial[:, None] - initial[None]
    difference -= edge * np.rint(difference / edge)
    neighbours = (np.linalg.norm(difference, axis=2) < 1.3).sum(axis=1)
    # The scale differs between files, so that the two conventions of the scores differ as well.
    scale = 0.05 * (1 + seed % 4) * neighbours / neighbours.mean()
    final = initial + scale[:, None] * rng.standard_normal((runs, number, dimensions))
    return {"types": types, "initial_positions": initial, "positions": final}


def write_tiny(path, seed: int, **options):
    np.savez(path, **tiny_arrays(seed, **options))
    return path


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
