"""Benchmarks on a GPU: several models that are trained at once by processes of their own, with and without MPS.

Each process trains on the same configurations and says when each epoch has ended. What counts is the time in which all
of them train: steps of all processes in it, over its length. Start, reading, warming up and capturing are not in it.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from time import monotonic, sleep

import torch

from benchmarks.gpu.machine import Machine, NotRun
from benchmarks.gpu.runner import Benchmarks, Prepared
from benchmarks.gpu.training import LOSS_TOLERANCE, samples, train

PROCESSES = (1, 2, 4)
CONFIGURATIONS = 20  # of each process, the same in all
SECONDS = 6.0  # in which all of them train
STARTING = 60.0  # seconds that the processes may take until all have ended their first epoch
MPS = "nvidia-cuda-mps-control"


class Trainer:
    """A process that trains until it is killed; `ends` are the times at which its epochs ended, in seconds.

    The clock is that of the system since its start, the same in all processes.
    """

    def __init__(self, nodes: int, count: int, precision: str, device: str, environment: dict[str, str]):
        command = [sys.executable, "-m", "benchmarks.gpu.several_models", str(nodes), str(count), precision, device]
        self.process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        self.ends: list[float] = []
        self.losses: list[float] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            row = json.loads(line)
            self.losses.append(row["loss"])
            self.ends.append(row["end"])

    def __enter__(self) -> "Trainer":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()


def together(trainers: list[Trainer], epochs: int, seconds: float, limit: float = STARTING) -> None:
    """Wait until all have trained for so many epochs and, after the first of each, for so long."""
    end, begun = monotonic() + limit, None
    while begun is None or monotonic() < begun + seconds or min(len(t.ends) for t in trainers) < epochs:
        if any(trainer.process.poll() is not None for trainer in trainers):
            raise RuntimeError("a process that trains has ended; what it said is above")
        if monotonic() > end:
            raise RuntimeError(f"after {limit:.0f} s not every process has trained for {epochs} epochs")
        if begun is None and all(trainer.ends for trainer in trainers):
            begun = monotonic()
            end = begun + max(limit, 2 * seconds)
        sleep(0.01)


def steps_in(ends: list[float], begin: float, end: float, steps: int) -> float:
    """Steps of one process between two moments, from the ends of its epochs, in proportion where one is cut.

    >>> steps_in([10.0, 12.0, 14.0], 11.0, 14.0, steps=20)
    30.0
    """
    parts = pairwise(ends)
    return steps * sum(max(0.0, min(end, after) - max(begin, before)) / (after - before) for before, after in parts)


def throughput(ends: list[list[float]], steps: int) -> dict:
    """What all processes did while all of them trained; `ends` of each, `steps` of an epoch."""
    begin, end = max(times[0] for times in ends), min(times[-1] for times in ends)
    if end <= begin:
        raise RuntimeError("the processes did not train at the same time")
    rates = [steps_in(times, begin, end, steps) / (end - begin) for times in ends]
    return {
        "median_us": 1e6 / sum(rates),  # per step, whichever process takes it
        "steps_per_second": sum(rates),
        "steps_per_second_of_each": rates,
        "seconds": end - begin,
    }


@contextmanager
def mps() -> Iterator[dict[str, str]]:
    """MPS with a folder of its own, while the block runs; the variables by which processes find it."""
    program = shutil.which(MPS)
    if program is None:
        raise NotRun(f"{MPS} is not installed")
    with tempfile.TemporaryDirectory(prefix="mps") as folder:
        places = {"CUDA_MPS_PIPE_DIRECTORY": f"{folder}/pipe", "CUDA_MPS_LOG_DIRECTORY": f"{folder}/log"}
        for place in places.values():
            Path(place).mkdir()
        environment = {**os.environ, **places}
        started = subprocess.run([program, "-d"], env=environment, capture_output=True, text=True, check=False)
        if started.returncode != 0:
            raise NotRun(f"{MPS}: {started.stderr.strip() or started.stdout.strip()}")
        try:
            yield places
        finally:
            subprocess.run([program], input="quit\n", env=environment, capture_output=True, text=True, check=False)


def several(
    nodes: int, precision: str, processes: int, with_mps: bool, machine: Machine, count: int, seconds: float
) -> Prepared:
    """So many processes that train."""
    device = str(machine.device)

    def trained(number: int, epochs: int, duration: float, configurations: int) -> tuple[list[Trainer], int]:
        with ExitStack() as stack:
            places = stack.enter_context(mps()) if with_mps else {}
            before = free_bytes(machine)
            trainers = [
                stack.enter_context(Trainer(nodes, configurations, precision, device, places)) for _ in range(number)
            ]
            together(trainers, epochs, duration)
            used = before - free_bytes(machine)
        return trainers, used

    def check():
        """The losses of each are those of the CPU in float32, and bit for bit those of the others."""
        trainers, _ = trained(processes, 2, 0.0, 2)
        expected = [row["train_loss"] for row in train(samples(nodes, 2), 2, "fp32", torch.device("cpu")).history]
        first = trainers[0].losses[:2]
        for loss, wanted in zip(first, expected, strict=True):
            error = abs(loss / wanted - 1)
            assert error < LOSS_TOLERANCE[precision], f"loss off by {error:.2g} from the CPU's"
        assert all(trainer.losses[:2] == first for trainer in trainers), "two processes have other losses"

    def measure() -> dict:
        trainers, used = trained(processes, 3, seconds, count)
        result = throughput([trainer.ends for trainer in trainers], count)
        return result | ({"bytes_of_each": used / processes} if machine.cuda else {})

    facts = {"nodes": nodes, "configurations": count, "processes": processes, "mps": with_mps}
    return Prepared(lambda: None, check, precision=precision, measure=measure, facts=facts)


def free_bytes(machine: Machine) -> int:
    """Memory of the device that nobody has, contexts of other processes included in what somebody has."""
    return torch.cuda.mem_get_info(machine.device)[0] if machine.cuda else 0


def title(processes: int, precision: str, with_mps: bool) -> str:
    """The name of a benchmark.

    >>> title(2, "fp32", True)
    '2 models at once, fp32, MPS'
    """
    models = "1 model alone" if processes == 1 else f"{processes} models at once"
    return f"{models}, {precision}{', MPS' if with_mps else ''}"


def benchmarks(
    nodes: int = 4096,
    count: int = CONFIGURATIONS,
    seconds: float = SECONDS,
    precision: str = "fp32",
    processes: tuple[int, ...] = PROCESSES,
) -> Benchmarks:
    """All of them by name."""
    found: Benchmarks = {}
    for with_mps in (False, True):
        for number in processes:
            make = partial(several, nodes, precision, number, with_mps, count=count, seconds=seconds)
            found[title(number, precision, with_mps)] = make
    return found


def main(arguments: list[str] | None = None) -> None:
    """One of the processes: it trains, and prints a line at the end of each epoch."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    for name, kind in (("nodes", int), ("count", int), ("precision", str), ("device", str)):
        parser.add_argument(name, type=kind)
    options = parser.parse_args(arguments)
    device = torch.device(options.device)
    if device.type == "cpu":
        torch.set_num_threads(1)  # the processes are to share the cores, not to wait for each other

    def watch(row: dict) -> None:
        print(json.dumps({"end": monotonic(), "loss": row["train_loss"]}), flush=True)

    train(samples(options.nodes, options.count), 1_000_000, options.precision, device, watch)


if __name__ == "__main__":
    main()
