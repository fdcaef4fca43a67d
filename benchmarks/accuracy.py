"""Errors of each precision against float64, the table of docs/precision.md: `python -m benchmarks.accuracy`.

Writes benchmarks/results/accuracy/<device>-<date>.json.
"""

import copy
from pathlib import Path

import torch
from torch import Tensor

from benchmarks import machine
from benchmarks.inputs import model, problem
from botan_fast.bench.benchmark import PRECISIONS

WEIGHTS = (0.4, 0.6)  # of the node and the edge loss: p = 0.4


def measure(number: int = 4096) -> list[dict]:
    """One row for each precision: the network of the paper with initial weights, on `number` particles."""
    task, network = problem(number), model()
    exact = answer(copy.deepcopy(network).double(), task, "fp32")  # float64 takes the plain-torch path
    return [{"precision": p, "particles": number, **errors(answer(network, task, p), exact)} for p in PRECISIONS]


def answer(network, task, precision: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Node and edge predictions, the loss, and its gradient as one vector."""
    node, edge = network(task.graph, precision)
    targets = task.targets.propensity, task.targets.pair_change
    loss = sum(w * torch.mean((o - y) ** 2) for w, o, y in zip(WEIGHTS, (node, edge), targets, strict=True))
    gradient = torch.autograd.grad(loss, list(network.parameters()))
    return node.detach(), edge.detach(), loss.detach(), torch.cat([g.flatten() for g in gradient])


def errors(found, exact) -> dict[str, float]:
    """Relative L2 |a - b| / |b|, the same by the spread |b - mean b|, and what is missing to a correlation of one."""
    node, edge, loss, gradient = (a.double() for a in found)
    result = {"loss_relative": float(abs(loss - exact[2]) / exact[2])}
    for name, a, b in (("node", node, exact[0]), ("edge", edge, exact[1]), ("gradient", gradient, exact[3])):
        result[f"{name}_relative_l2"] = float((a - b).norm() / b.norm())
        if name == "gradient":
            result["gradient_one_minus_cosine"] = 1 - float(torch.nn.functional.cosine_similarity(a, b, dim=0))
        else:
            result[f"{name}_by_spread"] = float((a - b).norm() / (b - b.mean()).norm())
            result[f"{name}_one_minus_pearson"] = 1 - float(torch.corrcoef(torch.stack([a, b]))[0, 1])
    return result


def main() -> Path:
    return machine.write_record(machine.RESULTS / "accuracy", errors=measure())


if __name__ == "__main__":
    main()
