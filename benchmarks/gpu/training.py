"""Benchmarks on a GPU: `botan_fast.train` per step on distinct configurations, and clipping and Adam alone.

The time of a step is the difference of two runs with other numbers of epochs over the difference of their steps, so
that reading, copying to the device, warming up and capturing are not in it, and the end of each epoch is.
"""

import copy
import sys
import traceback
from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
import torch

import botan_fast as bf
from benchmarks import inputs
from benchmarks.gpu.machine import Machine, busy_us, events_of
from benchmarks.gpu.networks import CAPTURED, PRECISIONS
from benchmarks.gpu.runner import Benchmarks, Prepared
from botan_fast.bench.synthetic import dense_liquid
from botan_fast.physics.kob_andersen import DENSITY

CONFIGURATIONS, EPOCHS = 400, 1000  # the run whose time is asked for
SHORT, LONG = 2, 12  # epochs of the two runs: 4,000 steps between them
PROFILED = 100  # configurations of the profiled run: a trace of one epoch stays readable
LOSS_TOLERANCE = {"fp32": 1e-4, "tf32": 1e-2, "bf16": 3e-2}  # of the mean loss of an epoch, from that of the CPU


@lru_cache(maxsize=1)
def samples(nodes: int, count: int) -> list[bf.Sample]:
    """Distinct synthetic configurations with targets from two runs, on the CPU."""
    box, found = np.full(3, (nodes / DENSITY) ** (1 / 3)), []
    for seed in range(count):
        data = dense_liquid(nodes, seed, num_runs=2)
        positions = torch.from_numpy(data["initial_positions"])
        graph = bf.build_graph(positions, data["types"], box, inputs.CUTOFF)
        targets = bf.isoconfigurational_targets(data["initial_positions"], data["positions"], graph)
        found.append(bf.Sample(graph, targets, f"synthetic {seed}", positions))
    return found


def train(data: list[bf.Sample], epochs: int, precision: str, device: torch.device, watch: Callable | None = None):
    """A run with the paper's recipe, without tests and files."""
    watchers = [] if watch is None else [watch]
    return bf.train(data, epochs=epochs, precision=precision, device=device, progress=False, callbacks=watchers)


def per_step(nodes: int, precision: str, machine: Machine, count: int, epochs: tuple[int, int]) -> Prepared:
    """`train` on `count` configurations of `nodes` particles."""
    data = samples(nodes, count)
    steps = (epochs[1] - epochs[0]) * count

    def check():
        """Two epochs of two configurations have the losses that they have on the CPU in float32."""
        found, expected = (
            train(data[:2], 2, *where).history for where in ((precision, machine.device), ("fp32", torch.device("cpu")))
        )
        for row, wanted in zip(found, expected, strict=True):
            error = abs(row["train_loss"] / wanted["train_loss"] - 1)
            assert error < LOSS_TOLERANCE[precision], f"epoch {row['epoch']}: loss off by {error:.2g} from the CPU's"

    def measure() -> dict:
        seconds = [machine.seconds(partial(train, data, number, precision, machine.device)) for number in epochs]
        step = 1e6 * (seconds[1] - seconds[0]) / steps
        found = {"median_us": step, "run_seconds": seconds, "steps": steps}
        found["minutes"] = step * CONFIGURATIONS * EPOCHS / 60e6
        try:
            found |= profiled(data[: min(PROFILED, count)], precision, machine, step)
        except Exception as error:  # the times stay
            traceback.print_exc(file=sys.stderr)
            found["error"] = f"profiler: {type(error).__name__}: {error}"
        return found

    edges = sum(sample.graph.num_edges for sample in data) // count
    facts = {"nodes": nodes, "edges": edges, "configurations": count}
    run = partial(train, data[:1], 1, precision, machine.device)
    return Prepared(run, check, precision=precision, edges=edges, measure=measure, facts=facts)


def profiled(data: list[bf.Sample], precision: str, machine: Machine, step_us: float) -> dict:
    """What the device does in the second of three epochs.

    kernel_share is the time in which kernels run over that of a step without the profiler, which itself takes time:
    kernel_share_profiled is the share in the profiled epoch.
    """
    profile, walls = machine.profiler(), []

    def watch(row: dict) -> None:
        machine.synchronize()
        if row["epoch"] == 0:
            profile.start()
        elif row["epoch"] == 1:
            profile.stop()
            walls.append(1e6 * row["seconds"])

    train(data, 3, precision, machine.device, watch)
    events, kinds = events_of(profile), machine.device_events
    busy = busy_us(events, kinds)
    launches = sum(event.get("ph") == "X" and event.get("cat") in kinds for event in events)
    replays = sum(event.get("name") == "cudaGraphLaunch" for event in events)
    return {
        "kernel_us": busy / len(data),
        "kernel_share": busy / len(data) / step_us,
        "kernel_share_profiled": busy / walls[0],
        "launches": launches / len(data),
        "graph_replays": replays / len(data),
    }


def optimizer_step(fused: bool, captured: bool, machine: Machine) -> Prepared:
    """Clipping by torch.nn.utils.clip_grad_norm_ and Adam, as a loop of one's own has them; `train` clips inside of
    Adam (docs/training-gpu.md)."""
    generator = torch.Generator().manual_seed(0)
    source = inputs.model()
    for parameter in source.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    capturable = captured and machine.cuda  # torch refuses it elsewhere

    def stepper(model: torch.nn.Module, **options) -> Callable:
        weights = list(model.parameters())
        optimizer = torch.optim.Adam(weights, lr=1e-4, **options)

        def step():
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()

        return step

    def on_device() -> torch.nn.Module:
        model = copy.deepcopy(source).to(machine.device)
        for ours, theirs in zip(model.parameters(), source.parameters(), strict=True):
            ours.grad = theirs.grad.to(machine.device)
        return model

    step = stepper(on_device(), fused=fused, capturable=capturable)
    run, _ = machine.capture(step) if captured else (step, None)

    def check():
        """One step from the same weights against float64 on the CPU."""
        exact, ours = copy.deepcopy(source).double(), on_device()
        for a, b in zip(exact.parameters(), source.parameters(), strict=True):
            a.grad = b.grad.double()
        stepper(exact)()
        stepper(ours, fused=fused, capturable=capturable)()
        for a, b, before in zip(ours.parameters(), exact.parameters(), source.parameters(), strict=True):
            moved = b - before.double()
            error = (a.cpu().double() - b).norm() / moved.norm()
            assert error < 1e-3, f"weights after a step: {error:.2g} of their motion from float64"

    return Prepared(run, check)


def title(precision: str) -> str:
    """The name of a benchmark of `train`."""
    return f"train, {precision}"


def benchmarks(nodes: int = 4096, count: int = CONFIGURATIONS, epochs: tuple[int, int] = (SHORT, LONG)) -> Benchmarks:
    """All of them by name."""
    found: Benchmarks = {}
    for precision in PRECISIONS:
        found[title(precision)] = partial(per_step, nodes, precision, count=count, epochs=epochs)
    for name, fused, captured in (("", False, False), (", fused", True, False), (f", fused{CAPTURED}", True, True)):
        found[f"clipping and Adam{name}"] = partial(optimizer_step, fused, captured)
    return found
