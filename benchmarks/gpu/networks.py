"""Benchmarks on a GPU: inference and training step of BOTAN beside the authors' sequence, PyG and torch.compile.

All have the same weights, the same configuration (of `benchmarks.inputs`) and the same loss with p = 0.4; a training
step is forward, loss and gradients of all weights. The others run in float32 with torch's defaults, which is without
TF32. Before anything is timed, its results are compared with the authors' sequence in float64.
"""

import importlib.util
from functools import lru_cache, partial

import torch

import botan_fast as bf
from benchmarks import inputs
from benchmarks.gpu.machine import Machine, NotRun
from benchmarks.gpu.runner import Benchmarks, Prepared
from benchmarks.networks import difference, flat, gradients, module_class
from benchmarks.peers.authors import Inputs, loss_of
from botan_fast import ops
from botan_fast.bench import floor
from botan_fast.bench.synthetic import dense_liquid
from botan_fast.physics.kob_andersen import DENSITY

P = 0.4
CAPTURED, SAVING = ", CUDA graph", ", save_memory"  # ends of the names of benchmarks
PRECISIONS = ("fp32", "tf32", "bf16")
OTHERS = ("authors", "pyg", "split_compiled")
# `difference` of loss, node predictions, edge predictions and gradient from float64. An untrained network predicts
# almost a constant, of which the spread is compared.
TOLERANCES = {"fp32": (1e-5, 1e-3, 1e-3, 1e-4), "tf32": (1e-3, 0.1, 0.15, 0.03), "bf16": (1e-2, 0.2, 0.3, 0.05)}
FREE_FOR_A_MILLION = 100e9


class Network:
    """One implementation on a machine: `step(train)` gives what it computes."""

    def __init__(self, machine: Machine, name: str, nodes: int, precision: str = "fp32", save_memory: bool = False):
        task, model = inputs.problem(nodes), inputs.model()
        self.reverse = None  # the order of edges by sender, where the implementation has another
        if name == "botan_fast":
            self.module, graph = model.to(machine.device), task.graph.to(machine.device)
            targets = [t.to(machine.device) for t in (task.targets.propensity, task.targets.pair_change)]
            options = {"save_memory": True} if save_memory else {}
            self.predict = lambda: tuple(self.module(graph, precision, **options))
            self.loss = lambda: ops.loss(*self.predict(), *targets, P).total
            self.reverse = graph.reverse.long()
        else:
            split = name == "split_compiled"
            data = Inputs(*(t.to(machine.device) for t in (task.sorted_inputs if split else task.inputs)))
            self.module = module_class(name)(decoders="shared")
            self.module.load_state_dict(model.state_dict())
            self.module.to(machine.device)
            wrap = machine.compile if split else lambda function: function
            if split:
                torch.compiler.reset()  # earlier networks would count as recompilations, which are limited
            self.predict = wrap(lambda: self.module(data))
            self.loss = wrap(lambda: loss_of(*self.module(data), data.propensity, data.pair_change, P))
            self.reverse = task.graph.reverse.long().to(machine.device) if split else None

    def step(self, train: bool) -> list[torch.Tensor]:
        """Predictions, or the loss and the gradients of all weights in the order of their names."""
        if not train:
            with torch.no_grad():
                return list(self.predict())
        loss = self.loss()
        return [loss.detach(), *gradients(loss, self.module)]

    def check(self, machine: Machine, nodes: int, found: list[torch.Tensor], train: bool, precision: str):
        """`found`, results of `step`, against float64."""
        loss, node, edge, gradient = exact(machine, nodes)
        tolerances = dict(
            zip(("loss", "node predictions", "edge predictions", "gradient"), TOLERANCES[precision], strict=True)
        )
        if train:
            error = {"loss": abs(float(found[0]) / loss - 1), "gradient": difference(flat(found[1:]), gradient)}
        else:
            by_sender = found[1] if self.reverse is None else found[1][self.reverse]
            error = {"node predictions": difference(found[0], node), "edge predictions": difference(by_sender, edge)}
        for quantity, size in error.items():
            assert size < tolerances[quantity], f"{quantity}: relative error {size:.2g} from float64"


@lru_cache(maxsize=1)
def exact(machine: Machine, nodes: int) -> tuple[float, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Loss, predictions and gradient of the authors' sequence in float64."""
    network = Network(machine, "authors", nodes)
    module, data = network.module.double(), inputs.problem(nodes).inputs
    data = Inputs(*(t.to(machine.device) for t in data.to(torch.float64)))
    node, edge = module(data)
    loss = loss_of(node, edge, data.propensity, data.pair_change, P)
    return loss.item(), node.detach(), edge.detach(), flat(gradients(loss, module))


def edge_arrays(edges: int, in_float32: int, stored: int, precision: str) -> int:
    """Bytes of so many (E, 64) arrays in float32 and so many as they are stored between steps."""
    return edges * 64 * (4 * in_float32 + (2 if precision == "bf16" else 4) * stored)


def bytes_of(edges: int, train: bool, precision: str) -> int:
    """Edge arrays that a network of 7 steps moves (docs/kernels.md); node arrays stay in caches.

    Forward: e0 out; e0 in, c out, in bf16 e0 rounded out; c in 7 times, e in 7 and out 6 times, e_out out; e_out in.
    Backward: e_out in, its gradient out and in; c and e in, dz out 7 times, dz in 6 and gathered 7 times, dc out 4 and
    in 3 times; dc and e0 in; dc and dz in, the gradient of e0 out; that in.
    """
    num_bytes = edge_arrays(edges, 4, 22 if precision == "bf16" else 21, precision)
    return num_bytes + edge_arrays(edges, 15, 35, precision) if train else num_bytes


def flops_of(nodes: int, edges: int, train: bool) -> int:
    """`botan_fast.bench.floor`: split weights; what a backward pass computes again is not counted."""
    return (floor.training_flops if train else floor.forward_flops)(nodes, edges)


def prepare(name, train, nodes, precision, machine, captured=False, save_memory=False) -> Prepared:
    network = Network(machine, name, nodes, precision, save_memory)
    step = partial(network.step, train)
    run, out = machine.capture(step) if captured else (step, None)

    def check():
        run()
        network.check(machine, nodes, step() if out is None else out, train, precision)

    edges = inputs.problem(nodes).graph.num_edges
    ours = name == "botan_fast"
    return Prepared(
        run,
        check,
        bytes_of(edges, train, precision) if ours else 0,
        flops_of(nodes, edges, train) if ours else 0,
        precision,
        peak=train and not captured,
        kernels=ours and not captured,
        facts={"nodes": nodes, "edges": edges},
    )


def million(number: int, machine: Machine) -> Prepared:
    """One training step of a large configuration with save_memory=True; there is nothing to compare it with."""
    if machine.free_bytes() < FREE_FOR_A_MILLION:
        free = machine.free_bytes() / 1e9
        raise NotRun(f"{free:.0f} GB are free; {FREE_FOR_A_MILLION / 1e9:.0f} are wanted")
    data = dense_liquid(number, num_runs=1)
    positions = torch.from_numpy(data["initial_positions"]).to(machine.device)
    box = [(number / DENSITY) ** (1 / 3)] * 3
    graph = bf.build_graph(positions, torch.from_numpy(data["types"]).to(machine.device), box, inputs.CUTOFF)
    model = inputs.model().to(machine.device)
    targets = [torch.rand(n, device=machine.device) for n in (graph.num_nodes, graph.num_edges)]

    def run():
        loss = ops.loss(*model(graph, "fp32", save_memory=True), *targets, P).total
        return [loss.detach(), *torch.autograd.grad(loss, list(model.parameters()))]

    def check():
        assert all(t.isfinite().all() for t in run())

    facts = {"nodes": graph.num_nodes, "edges": graph.num_edges}
    return Prepared(run, check, precision="fp32", repeats=3, peak=True, facts=facts)


def title(train: bool, name: str, precision: str = "fp32", manner: str = "") -> str:
    """The name of a benchmark: "training step, bf16, CUDA graph", "inference, pyg". manner: CAPTURED or SAVING."""
    operation = "training step" if train else "inference"
    return f"{operation}, {precision if name == 'botan_fast' else name}{manner}"


def benchmarks(nodes: int = 4096, many: int = 1_000_000) -> Benchmarks:
    """All of them by name; PyG only where it is installed."""
    found: Benchmarks = {}
    for train in (True, False):
        for precision in PRECISIONS:
            make = partial(prepare, "botan_fast", train, nodes, precision)
            found[title(train, "botan_fast", precision)] = make
            found[title(train, "botan_fast", precision, CAPTURED)] = partial(make, captured=True)
            if train:
                found[title(train, "botan_fast", precision, SAVING)] = partial(make, save_memory=True)
        for name in OTHERS:
            if name != "pyg" or importlib.util.find_spec("torch_geometric"):
                found[title(train, name)] = partial(prepare, name, train, nodes, "fp32")
    found[f"training step, N={many}{SAVING}"] = partial(million, many)
    return found
