"""Options, the choice of implementations and sizes, and how a function is timed."""

import os

import pytest
import torch

from benchmarks import networks
from benchmarks.inputs import problem
from benchmarks.peers.authors import LARGEST_MATRIX
from botan_fast.bench.benchmark import BYTES_PER_PARTICLE
from botan_fast.bench.machine import memory_bytes


def pytest_addoption(parser):
    group = parser.getgroup("botan_fast")
    group.addoption("--rounds", type=int, default=None, help="timed rounds of everything (default: 7 to 50, by cost)")
    group.addoption("--particles", default="4096", help="particle numbers, separated by commas (default: 4096)")
    group.addoption(
        "--sizes",
        default="512,1024,2048,8192,16384,32768,65536",
        help="particle numbers of test_sizes, separated by commas; those that do not fit in memory are left out",
    )
    group.addoption("--threads", type=int, default=None, help="threads (default: torch's choice)")
    group.addoption("--implementations", default=None, help="time only these, separated by commas (default: all)")


def pytest_configure(config):
    threads = config.getoption("--threads")
    if threads:
        torch.set_num_threads(threads)
    # Peers that read no option of their own follow OpenMP's variable.
    os.environ["OMP_NUM_THREADS"] = str(torch.get_num_threads())


def pytest_generate_tests(metafunc):
    """Tests that take `implementation` name the possible ones in `IMPLEMENTATIONS` of their module."""
    sizes = [int(n) for n in metafunc.config.getoption("--particles").split(",")]
    if "implementation" in metafunc.fixturenames:
        names = metafunc.module.IMPLEMENTATIONS[metafunc.function.__name__.removeprefix("test_")]
        chosen = metafunc.config.getoption("--implementations")
        if chosen:
            names = [name for name in names if name in chosen.split(",")]
        matrix = metafunc.module.__name__.rpartition(".")[2] in ("test_graph", "test_loading")
        pairs = [(n, k) for n in sizes for k in names if not (matrix and k == "authors" and n > LARGEST_MATRIX)]
        metafunc.parametrize(("particles", "implementation"), pairs)
    elif "threads" in metafunc.fixturenames:
        most, counts = torch.get_num_threads(), []
        while most > 1:  # all threads, then halves
            counts.append(most)
            most //= 2
        pairs = [(operation, count) for operation in metafunc.module.OPERATIONS for count in counts]
        metafunc.parametrize(("operation", "threads"), pairs)
    elif "size" in metafunc.fixturenames:
        sizes = [int(n) for n in metafunc.config.getoption("--sizes").split(",")]
        sizes = [n for n in sizes if n * BYTES_PER_PARTICLE < 0.8 * memory_bytes()]
        metafunc.parametrize(
            ("operation", "size"), [(operation, n) for operation in metafunc.module.SECONDS for n in sizes]
        )
    elif "particles" in metafunc.fixturenames:
        metafunc.parametrize("particles", sizes)


@pytest.fixture
def measure(benchmark, request):
    """measure(operation, implementation, particles, function, rounds=..., setup=..., **facts): time a function.

    One warm-up round, then `rounds` rounds of one call each. `setup` runs before every round, untimed, and gives the
    arguments. What is recorded beside the times goes into `facts`.
    """

    def run(operation, implementation, particles, function, rounds=30, setup=None, **facts):
        benchmark.group = operation if particles is None else f"{operation}, N = {particles}"
        benchmark.extra_info |= {"operation": operation, "implementation": implementation}
        benchmark.extra_info |= {"threads": torch.get_num_threads(), **facts}
        if particles is not None:
            task = problem(particles)
            benchmark.extra_info |= {"particles": particles, "edges": task.graph.num_edges, "input": task.origin}
        rounds = request.config.getoption("--rounds") or rounds
        if setup is None:
            return benchmark.pedantic(function, rounds=rounds, warmup_rounds=1)
        function(*setup()[0])  # pytest-benchmark warms up with one single setup; backward passes need a fresh one
        return benchmark.pedantic(function, setup=setup, rounds=rounds)

    return run


@pytest.fixture
def task(particles):
    return problem(particles)


@pytest.fixture
def net(implementation, particles):
    """The network, after its results were checked."""
    return networks.network(networks.checked(implementation, particles), particles)
