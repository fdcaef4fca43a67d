"""The implementations of the network behind one interface, checked against each other before anything is timed."""

import importlib.util
from collections.abc import Callable
from functools import cache, lru_cache
from shutil import which
from typing import NamedTuple

import torch
from torch import Tensor

import botan_fast as bf
from benchmarks.inputs import model, problem
from benchmarks.peers.authors import AuthorsBOTAN, loss_of
from benchmarks.peers.split import SplitBOTAN
from botan_fast import ops
from botan_fast.bench.benchmark import PRECISIONS

# Other precisions of botan_fast have its name and their own.
OURS = {"botan_fast" if p == "fp32" else f"botan_fast_{p}": p for p in PRECISIONS}
NAMES = (*OURS, "authors", "pyg", "split", "split_compiled")
# `difference` to botan_fast in float32 of node predictions, edge predictions and gradients. An untrained network
# predicts almost a constant: docs/precision.md has what bf16 makes of the rest.
TOLERANCES = {"botan_fast_bf16": (0.2, 0.3, 0.02)}


class Network(NamedTuple):
    """One implementation, on one input."""

    module: torch.nn.Module
    predict: Callable[[], tuple[Tensor, Tensor]]  # node (N,), edge (E,) in the order of `targets`
    process: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # x0 (N, H), e0 (E, H) to x, e
    targets: tuple[Tensor, Tensor]
    vectors: Tensor  # (E, 3)


def available() -> list[str]:
    """Names of the implementations that run here: torch.compile needs a compiler, PyG its package."""
    missing = set()
    if not (which("g++") or which("c++") or which("clang++")):
        missing.add("split_compiled")
    if importlib.util.find_spec("torch_geometric") is None:
        missing.add("pyg")
    return [name for name in NAMES if name not in missing]


def by_sender(name: str) -> bool:
    """Whether the implementation takes edges by (sender, receiver), as the authors' code does."""
    return name in ("authors", "pyg")


def module_class(name: str) -> type[torch.nn.Module]:
    if name == "pyg":
        from benchmarks.peers.pyg import PygBOTAN

        return PygBOTAN
    return AuthorsBOTAN if name == "authors" else SplitBOTAN


def network(name: str, number: int, decoders: str = "shared") -> Network:
    """The implementation `name` with the weights of `inputs.model`, on the problem of `number` particles."""
    task, ours = problem(number), model(decoders)
    if name in OURS:
        return ours_on(ours, task.graph, task.targets, OURS[name])
    inputs = task.inputs if by_sender(name) else task.sorted_inputs
    module = module_class(name)(decoders=decoders)
    module.load_state_dict(ours.state_dict())
    forward, process = module.forward, module.process
    if name == "split_compiled":
        # Without the reset, networks of earlier tests count towards the number of recompilations after which
        # torch falls back to eager mode.
        torch.compiler.reset()
        forward, process = (torch.compile(f, dynamic=False, fullgraph=True) for f in (forward, process))
    return Network(
        module,
        lambda: forward(inputs),
        lambda x0, e0: process(x0, e0, inputs.edge_index),
        (inputs.propensity, inputs.pair_change),
        inputs.vectors,
    )


def ours_on(ours: bf.BOTAN, graph: bf.Graph, targets: bf.Targets, precision: str = "fp32") -> Network:
    processor = ours.processor
    topology = [graph.senders, graph.receivers, graph.row_ptr, graph.sender_order, graph.sender_ptr]
    edge_weights, node_weights = processor.edge_mlp.weights(), processor.node_mlp.weights()
    steps = ours.config["num_steps"]
    return Network(
        ours,
        lambda: ours(graph, precision),
        lambda x0, e0: ops.processor(None, None, x0, e0, topology, edge_weights, node_weights, steps, precision),
        (targets.propensity, targets.pair_change),
        graph.vectors,
    )


@lru_cache(maxsize=1)
def _answer(number: int) -> tuple[Tensor, Tensor, Tensor]:
    """What botan_fast gives: node, edge by (sender, receiver), and the gradient of the loss."""
    return _compute("botan_fast", number)


def _compute(name: str, number: int) -> tuple[Tensor, Tensor, Tensor]:
    subject = network(name, number)
    node, edge = subject.predict()
    loss = loss_of(node, edge, *subject.targets)
    if not by_sender(name):
        edge = edge[problem(number).graph.reverse.long()]
    return node.detach(), edge.detach(), flat(gradients(loss, subject.module))


def gradients(loss: Tensor, module: torch.nn.Module) -> list[Tensor]:
    """Of all weights, in the order of their names: the classes need not list their parameters alike."""
    named = dict(module.named_parameters())
    return list(torch.autograd.grad(loss, [named[key] for key in sorted(named)]))


def flat(tensors: list[Tensor]) -> Tensor:
    """All numbers as one vector."""
    return torch.cat([t.flatten() for t in tensors])


@cache
def checked(name: str, number: int) -> str:
    """`name`, after its predictions and gradients have been found equal to those of botan_fast."""
    if name == "botan_fast":
        checked("authors", number)
        return name
    expected, found = _answer(number), _compute(name, number)
    tolerances = TOLERANCES.get(name, (1e-4, 1e-4, 1e-4))
    for quantity, a, b, tolerance in zip(
        ("node predictions", "edge predictions", "gradients"), found, expected, tolerances, strict=True
    ):
        error = difference(a, b)
        assert error < tolerance, f"{quantity} of {name} and botan_fast differ: relative L2 = {error}"
    return name


def difference(a: Tensor, b: Tensor) -> float:
    """Relative L2 norm of a - b, by the spread of b: a common offset of all entries hides no error."""
    b = b.double()
    return float((a.double() - b).norm() / (b - b.mean()).norm())
