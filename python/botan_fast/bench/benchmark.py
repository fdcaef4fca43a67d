"""How fast botan_fast is on this machine: the work of `botan-fast bench`.

The short version of the repository's `benchmarks/`, which also compares with other programs. The input is synthetic, so
no data file is needed, and results are checked before anything is timed.
"""

import json
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ..errors import BotanFastError, InputError
from ..graph.build import build_graph
from ..graph.graph import Graph
from ..info import build_info
from ..model.botan import BOTAN
from ..ops import reference
from ..physics.kob_andersen import DENSITY
from ..physics.targets import Targets, isoconfigurational_targets
from .floor import forward_flops, training_flops
from .machine import ceilings, cores, cpu_model, measured_times, memory_bytes, peak_bytes
from .synthetic import dense_liquid

__all__ = ["BenchmarkError", "benchmark", "measure_peak"]

CUTOFF = 2.0
SMALLEST = 100  # the box has to hold two cutoffs
BYTES_PER_PARTICLE = 170_000  # of a training step, from measurements
PLAIN_BYTES_PER_PARTICLE = 600_000
CHECK_SIZE = 4096  # results are checked on at most so many particles
# `compare` with the same precision in plain torch: node predictions, edge predictions, gradients. Another order of
# summation moves some numbers to the next bfloat16, and an untrained network predicts almost a constant.
TOLERANCES = {"fp32": (1e-4, 1e-4, 1e-4), "bf16": (0.2, 0.3, 0.05)}
PRECISIONS = ("fp32", "bf16")  # a CPU computes tf32 as fp32
CHILD = "from botan_fast.bench.benchmark import _print_peak; _print_peak({size}, {threads}, {precision!r})"


Predict: TypeAlias = Callable[[], tuple[Tensor, Tensor]]  # node and edge predictions


class BenchmarkError(BotanFastError):
    """A result is wrong, or a measurement failed."""


class Problem(NamedTuple):
    positions: np.ndarray  # (N, 3) float64
    types: np.ndarray  # (N,)
    runs: np.ndarray  # (R, N, 3)
    box: np.ndarray  # (3,)
    graph: Graph
    targets: Targets


# ---- the operations ---------------------------------------------------------------------------------------------


def problem(size: int) -> Problem:
    """A synthetic configuration with its graph and targets."""
    arrays = dense_liquid(size)
    positions, types, runs = arrays["initial_positions"], arrays["types"], arrays["positions"]
    box = np.full(3, (size / DENSITY) ** (1 / 3))
    graph = build_graph(positions, types, box, cutoff=CUTOFF)
    return Problem(positions, types, runs, box, graph, isoconfigurational_targets(positions, runs, graph))


def untrained() -> BOTAN:
    """BOTAN with the initial weights of one seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BOTAN()


def fused(model: BOTAN, graph: Graph, precision: str) -> Predict:
    """The kernels of this package."""
    return lambda: model(graph, precision)


def plain_torch(model: BOTAN, graph: Graph, precision: str = "fp32") -> Predict:
    """The same function by the operation sequence of the authors' code: gather, concatenate, multiply, add up."""
    edge, node = model.processor.edge_mlp.weights(), model.processor.node_mlp.weights()
    senders, receivers = graph.senders.long(), graph.receivers.long()

    def predict() -> tuple[Tensor, Tensor]:
        x0 = reference.mlp(graph.types.float()[:, None], model.node_encoder.weights(), precision)
        e0 = reference.mlp(graph.vectors, model.edge_encoder.weights(), precision)
        steps = model.config["num_steps"]
        x, e = reference.processor(None, None, x0, e0, senders, receivers, edge, node, steps, precision)
        node_decoder, edge_decoder = model.node_decoder.weights(), model.edge_decoder.weights()
        return reference.mlp(x, node_decoder, precision), reference.mlp(e, edge_decoder, precision)

    return predict


def _loss(predict: Predict, targets: Targets) -> Tensor:
    node, edge = predict()
    assert targets.pair_change is not None  # they are made of runs
    mse = torch.nn.functional.mse_loss
    return 0.4 * mse(node, targets.propensity) + 0.6 * mse(edge, targets.pair_change)


def training_step(model: BOTAN, predict: Predict, targets: Targets) -> Callable[[], float]:
    """One step as `train` makes it: forward, loss, backward, gradient norm clipped to 1, Adam."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = _loss(predict, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return step


# ---- results are right ------------------------------------------------------------------------------------------


def check(task: Problem, precisions: Iterable[str]) -> None:
    """Graph and targets of the first particles against all distances, predictions and gradients against plain torch."""
    few = min(64, len(task.positions))
    difference = task.positions[None] - task.positions[:few, None]  # from i to j
    difference -= task.box * np.rint(difference / task.box)
    distance = np.sqrt((difference**2).sum(axis=2))
    i, j = np.nonzero((distance < CUTOFF) & (distance > 0))
    number = int(task.graph.row_ptr[few])
    found = (task.graph.receivers[:number].numpy(), task.graph.senders[:number].numpy())
    if not all(np.array_equal(a, b) for a, b in zip(found, (i, j), strict=True)):
        raise BenchmarkError("build_graph gives other edges than a direct search; please report this machine")
    moved = task.runs[:, j] - task.runs[:, i]
    moved -= task.box * np.rint(moved / task.box)
    change = np.sqrt((moved**2).sum(axis=2)).mean(axis=0) - distance[i, j]
    propensity = np.sqrt(((task.runs - task.positions) ** 2).sum(axis=2)).mean(axis=0)
    assert task.targets.pair_change is not None  # they are made of runs
    compare("propensity", task.targets.propensity, torch.tensor(propensity), 1e-4)
    compare("pair_change", task.targets.pair_change[:number], torch.tensor(change), 1e-4)

    model = untrained()
    for precision in precisions:
        expected = results_of(model, plain_torch(model, task.graph, precision), task.targets)
        results = results_of(model, fused(model, task.graph, precision), task.targets)
        names = ("node predictions", "edge predictions", "gradients")
        for name, a, b, tolerance in zip(names, results, expected, TOLERANCES[precision], strict=True):
            compare(f"{name} in {precision}", a, b, tolerance)


def results_of(model: BOTAN, predict: Predict, targets: Targets) -> tuple[Tensor, Tensor, Tensor]:
    """Node and edge predictions, and the gradient of the loss as one vector."""
    with torch.no_grad():
        node, edge = predict()
    gradients = torch.autograd.grad(_loss(predict, targets), list(model.parameters()))
    return node, edge, torch.cat([g.flatten() for g in gradients])


def compare(what: str, found: Tensor, expected: Tensor, tolerance: float) -> None:
    """Relative L2 by the spread of `expected`: a common offset of all entries hides no error."""
    found, expected = found.double(), expected.double()
    error = float((found - expected).norm() / (expected - expected.mean()).norm())
    if not error < tolerance:
        raise BenchmarkError(
            f"{what} of botan_fast and of plain torch differ by {error:.1e} (at most {tolerance:.0e}); "
            "report it, and use BOTAN_FAST_SIMD=generic until then"
        )


# ---- measuring --------------------------------------------------------------------------------------------------


def _print_peak(size: int, threads: int, precision: str) -> None:
    """In a process of its own: the peak memory of three training steps."""
    torch.set_num_threads(threads)
    task, model = problem(size), untrained()
    step = training_step(model, fused(model, task.graph, precision), task.targets)
    for _ in range(3):
        step()
    print(json.dumps(peak_bytes()))


def measure_peak(size: int, precision: str = "fp32") -> int:
    """Peak resident memory in bytes of a process that makes three training steps on `size` particles, all included."""
    command = CHILD.format(size=size, threads=torch.get_num_threads(), precision=precision)
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it was killed"])[-1]
        raise BenchmarkError(f"the process that measures memory ended with status {done.returncode}: {last}")
    return json.loads(done.stdout.splitlines()[-1])


def benchmark(
    size: int = 4096, *, budget: float = 3.0, memory: bool = True, progress: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Check, then time: graph, targets, inference and training step, each precision, and plain torch beside them.

    Parameters
    ----------
    size : int
        Particles of the synthetic configuration, 100 or more.
    budget : float
        Seconds for each measurement; at least three rounds are timed whatever they take.
    memory : bool
        Measure peak memory too: for each precision a process of its own, which takes seconds to start.
    progress : function of str, optional
        Called with what is about to be done.

    Returns
    -------
    dict
        "machine", "versions", "threads", "size", "edges", "ceilings" (of `ceilings`), and "rows", one for each
        measurement: operation, implementation ("botan_fast" or "plain_torch"), precision, median, min and max in
        seconds, rounds, and where it applies flops, fraction_of_matrix_rate, peak_bytes (a training step in a process
        of its own, everything included). Plain torch is left out where it needs more memory than half of the machine.

    Raises
    ------
    InputError
        for a size below 100, or one that does not fit into the machine's memory.
    BenchmarkError
        when a result is wrong.

    Examples
    --------
    >>> from botan_fast.bench.benchmark import benchmark
    >>> from botan_fast.bench.table import table
    >>> record = benchmark(100, budget=0.01, memory=False)
    >>> [row["operation"] for row in record["rows"]][:3]
    ['build_graph', 'targets', 'inference']
    """
    available = memory_bytes()
    if size < SMALLEST:
        raise InputError(f"size = {size}; give at least {SMALLEST} particles, so that the box holds two cutoffs")
    if size * BYTES_PER_PARTICLE > available:
        needed = size * BYTES_PER_PARTICLE / 1e9
        raise InputError(
            f"size = {size} needs about {needed:.0f} GB and this machine has {available / 1e9:.0f} GB; "
            f"give at most {int(available / BYTES_PER_PARTICLE)}"
        )
    say = progress or (lambda message: None)
    say("checking results")
    task = problem(size)
    check(task if size <= CHECK_SIZE else problem(CHECK_SIZE), PRECISIONS)
    say("measuring the machine")
    limits = ceilings()

    def row(
        operation: str,
        implementation: str,
        function: Callable[[], Any],
        precision: str | None = None,
        flops: float | None = None,
    ) -> dict[str, Any]:
        say(f"timing {operation}" + (f", {precision}" if precision else "") + f", {implementation}")
        times = measured_times(function, 30, budget, fewest=3)
        facts: dict[str, Any] = {"operation": operation, "implementation": implementation, "precision": precision}
        facts |= {"median": statistics.median(times), "min": min(times), "max": max(times), "rounds": len(times)}
        if flops is not None:
            rate = flops / facts["median"]
            facts |= {
                "flops": flops,
                "fraction_of_matrix_rate": rate / limits["matrix_product_flops_per_second"],
            }
        return facts

    rows = [
        row("build_graph", "botan_fast", lambda: build_graph(task.positions, task.types, task.box, cutoff=CUTOFF)),
        row("targets", "botan_fast", lambda: isoconfigurational_targets(task.positions, task.runs, task.graph)),
    ]
    plain = [("plain_torch", "fp32")] if size * PLAIN_BYTES_PER_PARTICLE < available / 2 else []
    sizes = size, task.graph.num_edges
    for operation, flops in (("inference", forward_flops(*sizes)), ("training_step", training_flops(*sizes))):
        for implementation, precision in [*(("botan_fast", p) for p in PRECISIONS), *plain]:
            model = untrained()
            fast = implementation == "botan_fast"
            predict = fused(model, task.graph, precision) if fast else plain_torch(model, task.graph)
            step = operation == "training_step"
            function = training_step(model, predict, task.targets) if step else torch.no_grad()(predict)
            rows.append(row(operation, implementation, function, precision, flops))
    for facts in rows:
        if memory and facts["operation"] == "training_step" and facts["implementation"] == "botan_fast":
            say(f"measuring memory, {facts['precision']}")
            facts["peak_bytes"] = measure_peak(size, facts["precision"])
    info = build_info()
    return {
        "machine": {
            "cpu": cpu_model(),
            "architecture": platform.machine(),
            "cores": cores(),
            "memory_bytes": available,
            "simd": info["simd"],
            "system": platform.system(),
        },
        "versions": {"botan_fast": info["version"]} | {name: info[name] for name in ("torch", "numpy", "python")},
        "threads": info["threads"],
        "size": size,
        "edges": task.graph.num_edges,
        "ceilings": limits,
        "rows": rows,
    }
