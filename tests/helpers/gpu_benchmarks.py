"""A machine and sizes for benchmarks.gpu on the CPU, by a clock that is made up."""

import json

import torch

from benchmarks.gpu import graph, measure, networks, sums, training
from benchmarks.gpu.machine import Machine

NODES = 100
TICK = 250.0  # microseconds that everything takes


def fake_timer(run):
    run()
    return TICK


class Tiny(Machine):
    """Runs of which each takes as many seconds as there were before it: the second of two takes one more."""

    runs = 0

    def seconds(self, run):
        run()
        self.runs += 1
        return float(self.runs)


def tiny_machine():
    return Tiny("cpu", fake_timer, lambda function: torch.compile(function, backend="eager"), most=2)


def tiny_benchmarks():
    found = networks.benchmarks(NODES, 150, 10) | sums.benchmarks(50, 400)
    return found | training.benchmarks(NODES, 2, (1, 3)) | graph.benchmarks((80, 100), 2, 300)


def run_all(machine, benchmarks, output, **sizes):
    """The results in the file, and the names of the failed."""
    failed = measure.run_benchmarks(machine, benchmarks, output, **(sizes or {"side": 4, "copied": 64}))
    return json.loads(output.read_text())["results"], failed
