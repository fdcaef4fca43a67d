"""How time grows with particles and falls with threads. Rounds of both sides of a ratio alternate."""

import statistics
from time import perf_counter

import numpy as np
import torch

import botan_fast as bf
from benchmarks import networks
from benchmarks.inputs import CUTOFF, model, problem
from benchmarks.peers.authors import training_step
from botan_fast.bench import floor

REFERENCE = 4096  # particles that every other number is compared with
OPERATIONS = ("training_step", "inference", "build_graph", "targets", "matrix_product")
SECONDS = {"training_step": 4e-6, "inference": 1.1e-6}  # per edge, to choose the number of rounds
BUDGET = 12.0  # seconds of the timed rounds of one size


def function_of(operation, particles):
    """A function without arguments that does it once with botan_fast."""
    if operation == "matrix_product":
        a, b, out = (torch.randn(2048, 2048) for _ in range(3))
        return lambda: torch.mm(a, b, out=out)
    task = problem(particles)
    if operation == "build_graph":
        box = np.full(3, task.length)
        return lambda: bf.build_graph(task.positions, task.types, box, cutoff=CUTOFF)
    if operation == "targets":
        return lambda: bf.isoconfigurational_targets(task.positions, task.final, task.graph)
    net = networks.ours_on(model(), task.graph, task.targets)
    if operation == "inference":
        return torch.no_grad()(net.predict)
    optimizer = torch.optim.Adam(net.module.parameters(), lr=1e-4)
    return lambda: training_step(net.predict, optimizer, *net.targets)


def test_threads(measure, benchmark, operation, threads):
    """N = 4096 with `threads` threads; `one_thread_median` is that of rounds with one thread in between."""
    networks.checked("botan_fast", REFERENCE)
    function, before, times = function_of(operation, REFERENCE), torch.get_num_threads(), []

    def one_thread():
        torch.set_num_threads(1)
        start = perf_counter()
        function()
        times.append(perf_counter() - start)
        torch.set_num_threads(threads)
        return (), {}

    try:
        rounds = 9 if operation in SECONDS else 40
        measure(f"{operation}_by_threads", "botan_fast", REFERENCE, function, rounds=rounds, setup=one_thread)
    finally:
        torch.set_num_threads(before)
    one = statistics.median(times[1:])  # the first belongs to the warm-up
    benchmark.extra_info |= {"threads": threads, "one_thread_median": one}
    benchmark.extra_info["speedup"] = one / benchmark.stats.stats.median


def test_sizes(measure, benchmark, operation, size):
    """`size` particles; `over_reference` is the time per edge over that of N = 4096 in rounds in between."""
    networks.checked("botan_fast", REFERENCE)
    small = function_of(operation, REFERENCE)
    edges = problem(REFERENCE).graph.num_edges
    small()
    large, times = function_of(operation, size), []
    task = problem(size)

    def reference():
        start = perf_counter()
        small()
        times.append(perf_counter() - start)
        return (), {}

    rounds = int(np.clip(BUDGET / (SECONDS[operation] * (task.graph.num_edges + edges)), 3, 9))
    flops = {"training_step": floor.training_flops, "inference": floor.forward_flops}[operation]
    measure(
        f"{operation}_by_size",
        "botan_fast",
        size,
        large,
        rounds=rounds,
        setup=reference,
        flops=flops(size, task.graph.num_edges),
    )
    per_edge = benchmark.stats.stats.median / task.graph.num_edges
    benchmark.extra_info |= {"per_edge": per_edge, "reference_median": statistics.median(times[1:])}
    benchmark.extra_info["over_reference"] = per_edge * edges / statistics.median(times[1:])
