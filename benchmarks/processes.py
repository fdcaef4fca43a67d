"""What several processes for one model give: `python -m benchmarks.processes [--particles 4096,32768]`.

The same training (batches of two synthetic configurations, default model) by one process with one thread, by one with
all threads, and by so many processes with one thread each, over gloo, in rounds that alternate; and their sum of all
gradients alone. Times are of a step of the whole batch, medians over epochs but the first. Writes
benchmarks/results/processes/<device>-<date>.json, or prints alone with --no-file.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
from time import perf_counter

import numpy as np
import torch

import botan_fast as bf
from benchmarks import machine
from benchmarks.inputs import CUTOFF
from botan_fast.bench.machine import cores
from botan_fast.bench.synthetic import dense_liquid
from botan_fast.physics.kob_andersen import DENSITY
from botan_fast.processes import VARIABLES
from botan_fast.training import connection

EPOCHS = 4  # with two steps each
SUMS = 200
LIMIT = 900  # seconds of one training


def samples_of(number: int, count: int) -> list[bf.Sample]:
    """So many synthetic liquids of `number` particles, with targets of four runs."""
    box, found = np.full(3, (number / DENSITY) ** (1 / 3)), []
    for k in range(count):
        liquid = dense_liquid(number, num_runs=4, seed=k)
        positions = liquid["initial_positions"]
        graph = bf.build_graph(positions, liquid["types"], box, cutoff=CUTOFF)
        targets = bf.isoconfigurational_targets(positions, liquid["positions"], graph)
        found.append(bf.Sample(graph, targets, f"liquid {k}", torch.from_numpy(positions)))
    return found


def work(number: int, batch_size: int, threads: int) -> dict:
    """One training in this process, alone or one of several: seconds of a step, and of a sum of all gradients."""
    torch.set_num_threads(threads)
    result = bf.train(
        samples_of(number, 2 * batch_size), batch_size=batch_size, epochs=1 + EPOCHS, seed=1, progress=False
    )
    seconds = [row["seconds"] / 2 for row in result.history[1:]]
    weights = sum(parameter.numel() for parameter in result.model.parameters())
    found = {"step": statistics.median(seconds), "loss": result.history[-1]["train_loss"], "weights": weights}
    if connection.is_joined():
        links, numbers, times = connection.connect(None), torch.zeros(weights), []
        for _ in range(SUMS):
            start = perf_counter()
            links.sum_(numbers)
            times.append(perf_counter() - start)
        found["sum"] = statistics.median(times)
    return found


def train(processes: int, number: int, batch_size: int, threads: int) -> dict:
    """`work` in so many new processes; what the first one found."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = str(s.getsockname()[1])
    running = []
    for rank in range(processes):
        environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        if processes > 1:
            environment |= {"RANK": str(rank), "WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1"}
            environment |= {"MASTER_PORT": port}
        command = [sys.executable, "-m", "benchmarks.processes", "--work"]
        command += [str(value) for value in (number, batch_size, threads)]
        running.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=machine.ROOT))
    try:
        texts = [process.communicate(timeout=LIMIT)[0] for process in running]
    finally:
        for process in running:
            process.kill()
    if any(process.returncode for process in running):
        raise SystemExit(f"a training has failed, {processes} processes, N = {number}")
    return json.loads(texts[0].splitlines()[-1])


def measure(number: int, processes: int, rounds: int) -> dict:
    """Medians over the rounds, in seconds of a step of a batch with a configuration for each process."""
    kinds = {
        "one_process_one_thread": (1, 1),
        "one_process_all_threads": (1, processes),
        "processes_of_one_thread": (processes, 1),
    }
    found: dict[str, list[dict]] = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, (count, threads) in kinds.items():
            found[name].append(train(count, number, processes, threads))
    steps = {name: statistics.median(one["step"] for one in each) for name, each in found.items()}
    losses = [each[0]["loss"] for each in found.values()]
    weights = found["processes_of_one_thread"][0]["weights"]
    return {
        "particles": number,
        "processes": processes,
        "batch_size": processes,
        "rounds": rounds,
        **steps,
        "sum": statistics.median(one["sum"] for one in found["processes_of_one_thread"]),
        "weights": weights,
        "bytes": 4 * weights,
        "speedup_of_threads": steps["one_process_one_thread"] / steps["one_process_all_threads"],
        "speedup_of_processes": steps["one_process_one_thread"] / steps["processes_of_one_thread"],
        "largest_difference_of_losses": (max(losses) - min(losses)) / max(losses),
    }


def describe(entry: dict) -> str:
    return (
        f"N = {entry['particles']}, batches of {entry['batch_size']}: one thread "
        f"{entry['one_process_one_thread'] * 1e3:.0f} ms, {entry['processes']} threads "
        f"{entry['one_process_all_threads'] * 1e3:.0f} ms ({entry['speedup_of_threads']:.2f} times), "
        f"{entry['processes']} processes {entry['processes_of_one_thread'] * 1e3:.0f} ms "
        f"({entry['speedup_of_processes']:.2f} times); sum of {entry['weights']} gradients {entry['sum'] * 1e3:.2f} ms"
    )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--particles", default="4096,32768", help="numbers of particles (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=max(2, cores()), help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--no-file", action="store_true", help="print alone")
    parser.add_argument("--work", nargs=3, type=int, metavar=("N", "BATCH", "THREADS"), help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.work:
        print(json.dumps(work(*options.work)))
        return
    entries = []
    for text in options.particles.split(","):
        entries.append(measure(int(text), options.processes, options.rounds))
        print(describe(entries[-1]), flush=True)
    if not options.no_file:
        machine.write_record(machine.RESULTS / "processes", timings=entries)


if __name__ == "__main__":
    main()
