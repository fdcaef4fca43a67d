"""How fast botan_fast is on a GPU: the work of `botan-fast bench --device cuda`.

The same checks and the same record as `benchmark`, with precision tf32, each call also as one CUDA graph, peak memory
of the device, and the floor of what the kernels move. The repository's `benchmarks/gpu` also compares with others.
"""

import datetime
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from .. import ops
from ..device import CUDA_KERNELS, choose_device, kernels_for
from ..errors import InputError
from ..graph.build import build_graph
from ..graph.graph import Graph
from ..info import build_info
from ..model.botan import BOTAN
from ..physics.targets import Targets, isoconfigurational_targets
from .benchmark import (
    CHECK_SIZE,
    CUTOFF,
    SMALLEST,
    BenchmarkError,
    Predict,
    Problem,
    check,
    compare,
    fused,
    plain_torch,
    problem,
    results_of,
    untrained,
)
from .clock import Clock, Run
from .floor import edge_steps, forward_flops, gpu_bytes, gpu_floor, training_flops
from .machine import cores, cpu_model, memory_bytes

__all__ = ["benchmark_gpu"]

PRECISIONS = ("fp32", "tf32", "bf16")
# Of node predictions, edge predictions and gradients from plain torch in float32 on the CPU, by the spread of an
# untrained network, which predicts almost a constant.
TOLERANCES = {"fp32": (1e-3, 1e-3, 1e-4), "tf32": (0.1, 0.15, 0.03), "bf16": (0.2, 0.3, 0.05)}
BYTES_PER_PARTICLE = 150_000  # of a training step on the device, counted (docs/kernels.md), with room
PLAIN_BYTES_PER_PARTICLE = 600_000


def benchmark_gpu(
    size: int = 4096,
    device: str = "cuda",
    *,
    clock: Clock | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Check, then time on a GPU: graph, targets, inference and training step, each precision, plain torch beside them.

    A training step is forward, loss, gradients, clipping and Adam. Everything is called as it is and, where it waits
    for nothing, replayed as one CUDA graph.

    Parameters
    ----------
    size : int
        Particles of the synthetic configuration, 100 or more.
    device : str
        A CUDA device.
    clock : Clock, optional
        What measures, and on which device; for tests.
    progress : function of str, optional
        Called with what is about to be done.

    Returns
    -------
    dict
        As `benchmark` gives it, and "device", "date". `ceilings` are those of `Clock.ceilings`; rows also have
        "captured" (a CUDA graph), and where it applies "floor", "fraction_of_floor", "edge_steps_per_second", and
        "peak_bytes" of the device, everything included.

    Raises
    ------
    InputError
        without such a device, without CUDA kernels in this build, for a size below 100 or too large for the device.
    BenchmarkError
        when a result is wrong.

    Examples
    --------
    >>> from botan_fast.bench.clock import Clock
    >>> from botan_fast.bench.gpu import benchmark_gpu
    >>> record = benchmark_gpu(100, clock=Clock("cpu", most=2))
    >>> [row["operation"] for row in record["rows"]][:2]
    ['build_graph', 'build_graph']
    """
    clock = clock or Clock(_checked_device(device))
    available = clock.free_bytes()
    if size < SMALLEST:
        raise InputError(f"size = {size}; give at least {SMALLEST} particles, so that the box holds two cutoffs")
    if size * BYTES_PER_PARTICLE > available:
        raise InputError(
            f"size = {size} needs about {size * BYTES_PER_PARTICLE / 1e9:.0f} GB of device memory and "
            f"{available / 1e9:.0f} GB are free; give at most {int(available / BYTES_PER_PARTICLE)}"
        )
    say = progress or (lambda message: None)
    say("checking results")
    task = problem(size)
    checked = task if size <= CHECK_SIZE else problem(CHECK_SIZE)
    check(checked, ())
    plain = size * PLAIN_BYTES_PER_PARTICLE < available / 2
    # captures and events are those of the current device
    with torch.cuda.device(clock.device) if clock.cuda else nullcontext():
        _check_device(checked, clock.device)
        say("measuring the machine")
        limits = clock.ceilings() if clock.cuda else clock.ceilings(1 << 20, 64)
        rows = _rows(task, clock, limits, plain, say)
    info = build_info()
    return {
        "device": clock.device.type,
        "date": datetime.date.today().isoformat(),
        "machine": {
            "cpu": cpu_model(),
            "gpu": torch.cuda.get_device_name(clock.device) if clock.cuda else info["cuda_device"],
            "cores": cores(),
            "memory_bytes": memory_bytes(),
            "device_bytes": available,
        },
        "versions": {"botan_fast": info["version"], "torch_cuda": torch.version.cuda}
        | {name: info[name] for name in ("torch", "numpy", "python", "cuda_architectures", "cuda_toolkit")},
        "threads": info["threads"],
        "size": size,
        "edges": task.graph.num_edges,
        "ceilings": limits,
        "rows": rows,
    }


def _checked_device(device: str) -> torch.device:
    """A CUDA device that there are kernels for."""
    chosen = choose_device(device)
    if chosen.type != "cuda":
        raise InputError(f"device = '{device}'; give 'cuda', or leave it out to measure the CPU")
    if CUDA_KERNELS is None:
        raise InputError(
            f"device = '{device}' but this build has no CUDA kernels for it; "
            "install with -C cmake.define.BOTAN_FAST_CUDA=ON where nvcc is"
        )
    if kernels_for(chosen) is None:
        raise InputError(
            f"device = '{device}' has compute capability below 8.0, which the CUDA kernels need; "
            "leave it out to measure the CPU"
        )
    return chosen


def _check_device(task: Problem, device: torch.device) -> None:
    """Graph and targets bit for bit, predictions and gradients within TOLERANCES of plain torch on the CPU."""
    positions, types, runs = (torch.as_tensor(a, device=device) for a in (task.positions, task.types, task.runs))
    graph = build_graph(positions, types, task.box, cutoff=CUTOFF)
    targets = isoconfigurational_targets(positions, runs, graph)
    assert targets.pair_change is not None  # they are made of runs
    assert task.targets.pair_change is not None
    for name in ("senders", "receivers", "vectors", "reverse", "row_ptr"):
        if not torch.equal(getattr(graph, name).cpu(), getattr(task.graph, name)):
            raise BenchmarkError(f"build_graph gives other {name} on the device than on the CPU; please report it")
    if not torch.equal(targets.pair_change.cpu(), task.targets.pair_change):
        raise BenchmarkError("the targets on the device are not those of the CPU; please report it")
    model = untrained()
    expected = results_of(model, plain_torch(model, task.graph), task.targets)
    model.to(device)
    for precision in PRECISIONS:
        found = results_of(model, fused(model, graph, precision), targets)
        names = ("node predictions", "edge predictions", "gradients")
        for name, a, b, tolerance in zip(names, found, expected, TOLERANCES[precision], strict=True):
            compare(f"{name} in {precision}", a.cpu(), b, tolerance)


def training_step(model: BOTAN, predict: Predict, targets: Targets, capturable: bool = False) -> Callable[[], Tensor]:
    """Forward, loss, gradients, norm clipped to 1, Adam; it waits for nothing."""
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam(parameters, lr=1e-4, fused=True, capturable=capturable)

    def step() -> Tensor:
        node, edge = predict()
        assert targets.pair_change is not None  # they are made of runs
        loss = ops.loss(node, edge, targets.propensity, targets.pair_change, 0.4).total
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        return loss.detach()

    return step


def _rows(
    task: Problem, clock: Clock, limits: dict[str, float], plain: bool, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """One row for each operation, implementation, precision and manner of calling."""
    graph, targets = task.graph.to(clock.device), task.targets.to(clock.device)
    nodes, edges = task.graph.num_nodes, task.graph.num_edges
    positions, types, runs = (torch.as_tensor(a, device=clock.device) for a in (task.positions, task.types, task.runs))

    def timed(operation: str, implementation: str, precision: str | None, captured: bool, run: Run) -> dict[str, Any]:
        manner = ", CUDA graph" if captured else ""
        say(f"timing {operation}" + (f", {precision}" if precision else "") + f", {implementation}{manner}")
        found = clock.measure(clock.capture(run)[0] if captured else run)
        facts: dict[str, Any] = {"operation": operation, "implementation": implementation, "precision": precision}
        seconds = {name: 1e-6 * found[f"{name}_us"] for name in ("median", "low_quartile", "high_quartile")}
        return facts | {"captured": captured, "rounds": found["repeats"]} | seconds

    def listed() -> Graph:
        return build_graph(positions, types, task.box, cutoff=CUTOFF, capacity=edges)

    rows = [timed("build_graph", "botan_fast", None, captured, listed) for captured in (False, True)]
    rows.append(timed("targets", "botan_fast", None, False, lambda: isoconfigurational_targets(positions, runs, graph)))
    kinds = [("botan_fast", p, captured) for p in PRECISIONS for captured in (False, True)]
    for operation, flops in (
        ("inference", forward_flops(nodes, edges)),
        ("training_step", training_flops(nodes, edges)),
    ):
        train = operation == "training_step"
        for implementation, precision, captured in [*kinds, *([("plain_torch", "fp32", False)] if plain else [])]:
            before = clock.allocated()
            model = untrained().to(clock.device)
            fast = implementation == "botan_fast"
            predict = fused(model, graph, precision) if fast else plain_torch(model, graph)
            run: Run = torch.no_grad()(predict)
            if train:
                run = training_step(model, predict, targets, captured and clock.cuda)
            facts: dict[str, Any] = {}
            if train and fast and not captured:
                facts["peak_bytes"] = clock.peak_bytes(run, before)
            row = timed(operation, implementation, precision, captured, run) | facts
            row |= {"flops": flops, "edge_steps_per_second": edge_steps(edges) / row["median"]}
            if fast:
                row["floor"] = gpu_floor(limits, gpu_bytes(edges, train, precision), flops, precision)
                row["fraction_of_floor"] = row["floor"] / row["median"]
            rows.append(row)
    return rows
