"""What a second thread gives, and what a large system costs: `python -m benchmarks.threads [--particles 4096,32768]`.

Each operation is timed with one thread, with all threads, and with one thread while other processes do the same work,
in rounds that alternate. The last is the yardstick: `machine` is the speed-up of work that shares nothing but the
machine, whose cores share clock rate, caches and memory. `--growth` times the neighbour list per particle at two
numbers of particles instead. Writes benchmarks/results/threads/<device>-<date>.json (growth/ for the second), or prints
alone with --no-file.
"""

import argparse
import multiprocessing
import statistics
from collections.abc import Callable
from time import perf_counter, sleep

import numpy as np
import torch

import botan_fast as bf
from benchmarks import machine
from benchmarks.inputs import CUTOFF, model
from benchmarks.peers.authors import training_step
from botan_fast.bench.machine import cores
from botan_fast.bench.synthetic import dense_liquid
from botan_fast.physics.kob_andersen import DENSITY

OPERATIONS = ("build_graph", "targets of 8 runs", "targets of 32 runs", "training step", "matrix product", "copy")
WITHOUT_SIZE = ("matrix product", "copy")
BUDGET = 8.0  # seconds of the rounds of one operation and size
ROUNDS = (3, 30)
GROWTH = (32_768, 1_048_576)


def function_of(operation: str, number: int) -> Callable[[], object]:
    """A function without arguments that does it once, on a synthetic liquid of `number` particles."""
    if operation == "matrix product":
        a, b, product = (torch.randn(2048, 2048) for _ in range(3))
        return lambda: torch.mm(a, b, out=product)
    if operation == "copy":
        source, target = torch.ones(1 << 26), torch.ones(1 << 26)  # 256 MB, beyond a core's caches
        return lambda: target.copy_(source)
    num_runs = int(operation.split()[2]) if operation.startswith("targets") else int(operation == "training step")
    liquid = dense_liquid(number, num_runs=num_runs)
    positions, types, final = liquid["initial_positions"], liquid["types"], liquid["positions"]
    box = np.full(3, (number / DENSITY) ** (1 / 3))
    if operation == "build_graph":
        return lambda: bf.build_graph(positions, types, box, cutoff=CUTOFF)
    graph = bf.build_graph(positions, types, box, cutoff=CUTOFF)
    if operation.startswith("targets"):
        return lambda: bf.isoconfigurational_targets(positions, final, graph)
    targets, net = bf.isoconfigurational_targets(positions, final, graph), model("separate")
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
    return lambda: training_step(lambda: net(graph), optimizer, targets.propensity, targets.pair_change)


def seconds_of(function: Callable[[], object], threads: int) -> float:
    torch.set_num_threads(threads)
    start = perf_counter()
    function()
    return perf_counter() - start


def work_beside(operation: str, number: int, ready, busy, done) -> None:
    """A process of the yardstick: does the operation with one thread as long as `busy` is set."""
    torch.set_num_threads(1)
    function = function_of(operation, number)
    function()
    ready.release()
    while not done.is_set():
        if busy.wait(0.1):
            function()


def measure(operation: str, number: int, threads: int) -> dict:
    """Medians in seconds, and the speed-ups of `threads` threads and of that many processes."""
    context = multiprocessing.get_context("spawn")
    ready, busy, done = context.Semaphore(0), context.Event(), context.Event()
    others = [
        context.Process(target=work_beside, args=(operation, number, ready, busy, done), daemon=True)
        for _ in range(threads - 1)
    ]
    for other in others:
        other.start()
    function = function_of(operation, number)
    first = seconds_of(function, threads)  # fresh memory
    for _ in others:
        ready.acquire()
    once = seconds_of(function, 1)
    one, several, beside = [], [], []
    for _ in range(int(np.clip(BUDGET / (3 * once), *ROUNDS))):
        one.append(seconds_of(function, 1))
        several.append(seconds_of(function, threads))
        busy.set()
        sleep(0.01)  # the others have begun
        beside.append(seconds_of(function, 1))
        busy.clear()
        sleep(min(once, 0.05) + 0.01)  # and have ended
        seconds_of(function, threads)  # a pause lets the clock rate and the threads of the pool rest
    done.set()
    busy.set()
    for other in others:
        other.join()
    medians = {
        "one_thread": statistics.median(one),
        "all_threads": statistics.median(several),
        "one_thread_beside_others": statistics.median(beside),
    }
    return {
        "operation": operation,
        "particles": None if operation in WITHOUT_SIZE else number,
        "threads": threads,
        "rounds": len(one),
        "first_call": first,
        **medians,
        "speedup": medians["one_thread"] / medians["all_threads"],
        "machine": threads * medians["one_thread"] / medians["one_thread_beside_others"],
    }


def measure_growth(threads: int, rounds: int = 7) -> dict:
    """Nanoseconds for each particle of build_graph at both numbers of GROWTH, in rounds that alternate."""
    small, large = (function_of("build_graph", number) for number in GROWTH)
    first = seconds_of(large, threads)
    times: list[list[float]] = [[], []]
    for _ in range(rounds):
        times[0].append(statistics.median([seconds_of(small, threads) for _ in range(9)]))
        times[1].append(seconds_of(large, threads))
    per_particle = [statistics.median(t) / n * 1e9 for t, n in zip(times, GROWTH, strict=True)]
    return {
        "operation": "build_graph",
        "particles": list(GROWTH),
        "threads": threads,
        "rounds": rounds,
        "first_call": first,
        "ns_per_particle": per_particle,
        "growth": per_particle[1] / per_particle[0],
    }


def describe(entry: dict) -> str:
    if "growth" in entry:
        sizes = [f"{ns:.0f} ns per particle at {n}" for ns, n in zip(entry["ns_per_particle"], GROWTH, strict=True)]
        return (
            f"{entry['operation']}, {entry['threads']} threads: {', '.join(sizes)}: {entry['growth']:.2f} times; "
            f"first call {entry['first_call']:.2f} s"
        )
    return (
        f"{entry['operation']:18s} {entry['particles'] or '':>9}  {entry['one_thread'] * 1e3:9.2f} ms, "
        f"{entry['threads']} threads {entry['all_threads'] * 1e3:9.2f} ms: {entry['speedup']:.2f} times, "
        f"machine {entry['machine']:.2f}, first call {entry['first_call'] * 1e3:.0f} ms"
    )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--particles", default="4096,32768", help="numbers of particles (default: %(default)s)")
    parser.add_argument("--operations", default=",".join(OPERATIONS), help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=cores(), help="default: %(default)s")
    parser.add_argument("--growth", type=int, metavar="RUNS", help="only the list per particle, so many runs")
    parser.add_argument("--no-file", action="store_true", help="print alone")
    options = parser.parse_args(argv)
    for name in options.operations.split(","):
        if name not in OPERATIONS:
            parser.error(f"--operations: {name!r} is none of {', '.join(OPERATIONS)}")
    entries = []

    def add(entry: dict) -> None:
        print(describe(entry), flush=True)
        entries.append(entry)

    for _ in range(options.growth or 0):
        add(measure_growth(options.threads))
    if not options.growth:
        numbers = [int(text) for text in options.particles.split(",")]
        for operation in options.operations.split(","):
            for number in numbers[:1] if operation in WITHOUT_SIZE else numbers:
                add(measure(operation, number, options.threads))
    if not options.no_file:
        machine.write_record(machine.RESULTS / ("growth" if options.growth else "threads"), timings=entries)


if __name__ == "__main__":
    main()
