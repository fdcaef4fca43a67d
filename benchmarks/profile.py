"""Where the time of a training step goes: `python -m benchmarks.profile [--particles N] [--threads T]` prints JSON.

The clocks of the kernels run in the same steps as the clocks around the parts of the step, each part's median over
rounds. Seconds of kernels are summed over threads and divided by their number, so that shares add up to the wall time.
"""

import argparse
import json
import statistics
from time import perf_counter

import torch

from benchmarks.inputs import model, problem
from benchmarks.peers.authors import loss_of
from botan_fast import _core
from botan_fast.bench.benchmark import PRECISIONS

ROUNDS = 9


def profile(particles: int, rounds: int = ROUNDS, precision: str = "fp32") -> dict:
    """wall: median seconds of a step; parts: seconds by name, kernels among them; their sum is about wall."""
    task, net = problem(particles), model("separate")
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
    found = [_step(net, task, optimizer, precision) for _ in range(rounds + 2)][2:]  # after two to warm up
    _core.set_kernel_timers(False)
    names = list(found[0])
    medians = {name: statistics.median(step[name] for step in found) for name in names}
    return {
        "particles": particles,
        "edges": task.graph.num_edges,
        "threads": torch.get_num_threads(),
        "precision": precision,
        "wall": medians.pop("wall"),
        "parts": medians,
    }


def _step(net, task, optimizer, precision) -> dict[str, float]:
    threads = torch.get_num_threads()
    options = {} if precision == "fp32" else {"precision": precision}
    parts: dict[str, float] = {}

    def part(function, *arguments):
        """Runs it with fresh clocks; returns its result, wall time, and seconds of each kernel."""
        _core.set_kernel_timers(True)
        start = perf_counter()
        result = function(*arguments)
        wall = perf_counter() - start
        kernels = {name: seconds / threads for name, (seconds, calls) in _core.kernel_times().items() if calls}
        return result, wall, kernels

    begin = perf_counter()
    optimizer.zero_grad(set_to_none=True)
    prediction, wall, kernels = part(lambda: net(task.graph, **options))
    parts |= {f"forward: {name}": seconds for name, seconds in kernels.items()}
    parts["forward: outside of kernels"] = wall - sum(kernels.values())
    loss, parts["loss"], _ = part(loss_of, *prediction, task.targets.propensity, task.targets.pair_change)
    _, wall, kernels = part(loss.backward)
    parts |= {f"backward: {name}": seconds for name, seconds in kernels.items()}
    parts["backward: outside of kernels"] = wall - sum(kernels.values())
    _, parts["clip"], _ = part(torch.nn.utils.clip_grad_norm_, list(net.parameters()), 1.0)
    _, parts["Adam"], _ = part(optimizer.step)
    parts["wall"] = perf_counter() - begin
    return parts


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--particles", type=int, default=4096)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--precision", default="fp32", choices=PRECISIONS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    print(json.dumps(profile(options.particles, options.rounds, options.precision)))


if __name__ == "__main__":
    main()
