"""Benchmarks on a GPU: inference and training step of BOTAN beside the authors' sequence, PyG and torch.compile.

All have the same weights, the same configuration (of `benchmarks.inputs`) and the same loss with p = 0.4; a training
step is forward, loss and gradients of all weights. The others run in float32 with torch's defaults, which is without
TF32. Before anything is timed, its results are compared with the authors' sequence in float64. PhysicsNeMo's
MeshGraphNet is another network of the same depth and width.
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
BYTES_PER_PARTICLE = 85_000  # of a training step in fp32 with save_memory: 72 kB counted (docs/kernels.md), and room
LARGEST = "training step, largest, save_memory"


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
        floor.gpu_bytes(edges, train, precision) if ours else 0,
        flops_of(nodes, edges, train) if ours else 0,
        precision,
        peak=train and not captured,
        kernels=ours and not captured,
        edges=edges,
        facts={"nodes": nodes, "edges": edges},
    )


def largest(machine: Machine, most: int = 1_000_000, round_to: int = 10_000) -> Prepared:
    """One training step with save_memory=True of as many particles as fit, a million at most.

    There is nothing to compare it with: the numbers have to be finite.
    """
    free = machine.free_bytes()
    number = min(most, int(min(free, 1e15) / BYTES_PER_PARTICLE) // round_to * round_to)
    if number < round_to:
        raise NotRun(f"{free / 1e9:.1f} GB are free; {round_to * BYTES_PER_PARTICLE / 1e9:.1f} are wanted")
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

    facts = {"nodes": graph.num_nodes, "edges": graph.num_edges, "sized": f"{free / 1e9:.1f} GB free"}
    return Prepared(run, check, precision="fp32", repeats=3, peak=True, edges=graph.num_edges, facts=facts)


def mesh_graph_net(train: bool, nodes: int, machine: Machine) -> Prepared:
    """PhysicsNeMo's MeshGraphNet of the same depth and width: other weights in each step, LayerNorm, residuals.

    Not the same function, so that only shapes and finite numbers are checked; it predicts particles alone.
    """
    from benchmarks.peers import meshgraphnet

    graph, targets = (part.to(machine.device) for part in (inputs.problem(nodes).graph, inputs.problem(nodes).targets))
    try:
        module, predict = meshgraphnet.build(graph)
        assert predict().shape == (nodes,)
    except Exception as error:  # the package is missing, or its interface is another one
        raise NotRun(f"MeshGraphNet of physicsnemo: {type(error).__name__}: {error}") from error
    weights = [weight for weight in module.parameters() if weight.requires_grad]

    def run():
        if not train:
            with torch.no_grad():
                return [predict()]
        loss = torch.nn.functional.mse_loss(predict(), targets.propensity)
        return [loss.detach(), *torch.autograd.grad(loss, weights)]

    def check():
        assert all(t.isfinite().all() for t in run())

    facts = {"nodes": nodes, "edges": graph.num_edges, "not_the_same": "LayerNorm, residuals, weights of each step"}
    return Prepared(run, check, precision="fp32", peak=train, edges=graph.num_edges, facts=facts)


def title(train: bool, name: str, precision: str = "fp32", manner: str = "") -> str:
    """The name of a benchmark: "training step, bf16, CUDA graph", "inference, pyg". manner: CAPTURED or SAVING."""
    operation = "training step" if train else "inference"
    return f"{operation}, {precision if name == 'botan_fast' else name}{manner}"


def benchmarks(nodes: int = 4096, most: int = 1_000_000, round_to: int = 10_000) -> Benchmarks:
    """All of them by name; PyG only where it is installed. `most` and `round_to` are those of `largest`."""
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
        found[title(train, "meshgraphnet")] = partial(mesh_graph_net, train, nodes)
    found[LARGEST] = partial(largest, most=most, round_to=round_to)
    return found
