"""BOTAN and its parts as torch modules.

Names in the `state_dict` (every W is (out, in), H = hidden_size, D = dimensions):

| name | shape | input order |
|---|---|---|
| `node_encoder.fc1`, `.fc2` | (H, Kn), (H, H) | the columns of node_inputs: type, Kn = 1 |
| `edge_encoder.fc1`, `.fc2` | (H, Ke), (H, H) | the columns of edge_inputs: r[receiver] - r[sender], Ke = D |
| `processor.edge_mlp.fc1`, `.fc2` | (H, 4 H), (H, H) | x_sender, x_receiver, e, e0 (then x0_sender, x0_receiver: 6 H) |
| `processor.node_mlp.fc1`, `.fc2` | (H, 3 H), (H, H) | x, x0, sum of incoming e |
| `node_decoder.fc1`, `.fc2`, `.fc3` | (H, H), (H, H), (num_outputs, H) | x |
| `edge_decoder.fc1`, `.fc2`, `.fc3` | the same | e |
| `decoder.fc1`, `.fc2`, `.fc3` | the same, instead of the two above when shared | x and e |

each with `.weight` and `.bias`. Before them, where there are such (`model/config.py`, buffer_shapes): `node_input_mean`
and `_width` (Kn,), `edge_input_...` (Ke,), `node_output_...` (num_outputs, S), `edge_output_...` (num_outputs, S, S),
where S = num_species.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .. import ops
from ..errors import InputError
from ..graph.graph import Graph
from .card import ModelCard
from .config import buffer_shapes, check_arguments, input_widths, plain, stored_config
from .inputs import check_species, edge_columns, node_columns
from .prediction import Prediction
from .slabs import Slabs
from .streaming import predict_in_slabs, slabs_for
from .topology import graph_topology, sorted_topology

__all__ = ["BOTAN", "MLP", "BOTANLayer"]


class MLP(nn.Module):
    """y = relu(W2 relu(W1 x + b1) + b2), (M, num_inputs) to (M, H); with decode=True, W3 y + b3, to (M,) or (M, K).

    The perceptron of the encoders, of the processor and (decode=True) of the decoders: two hidden layers, all of
    width H (Shiba et al. 2023, section II); K = num_outputs. float32 runs in the compiled core for H <= 128.
    `mlp(x, precision="bf16")` rounds the factors of products to bfloat16 (docs/precision.md).

    >>> import torch, botan_fast as bf
    >>> bf.MLP(3, 64)(torch.randn(10, 3)).shape, bf.MLP(64, 64, decode=True)(torch.randn(10, 64)).shape
    (torch.Size([10, 64]), torch.Size([10]))
    """

    def __init__(self, num_inputs: int, hidden_size: int, *, decode: bool = False, num_outputs: int = 1) -> None:
        super().__init__()
        self.fc1 = nn.Linear(num_inputs, hidden_size)
        self.fc2 = nn.Linear(hidden_size, hidden_size)
        if decode:
            self.fc3 = nn.Linear(hidden_size, num_outputs)

    def weights(self) -> list[Tensor]:
        """[W1, b1, W2, b2], and W3, b3 of a decoder."""
        layers: Iterator[Any] = self.children()  # every one an nn.Linear, or what took its place
        return [t for layer in layers for t in (layer.weight, layer.bias)]

    def forward(self, x: Tensor, precision: str = "fp32", packed: ops.Packed | None = None) -> Tensor:
        if packed is not None:
            return ops.mlp(x, packed.weights, precision, packed.buffer)
        return ops.mlp(x, self.weights(), precision)


class BOTANLayer(nn.Module):
    """One message-passing step of BOTAN (Shiba et al. 2023, section II and figure 2), a part for any torch model.

        e' = MLP_e([x_sender, x_receiver, e, e0])
        x' = MLP_n([x, x0, sum over incoming edges e'])

    Call: `x, e = layer(x, e, x0, e0, graph_or_edge_index)` with x, x0 (N, H) node features and e, e0 (E, H) edge
    features, the latter two those of the encoder (the skip connection). The graph is a `botan_fast.Graph`, or an
    `edge_index` (2, E) of integers, row 0 senders and row 1 receivers, of any directed graph in any order; e and e0
    follow the order of its edges. With edge_node_skip=True MLP_e also reads [x0_sender, x0_receiver] (Bapst et al.,
    Nature Physics 16, 448 (2020)). Gradients flow to x, e, x0, e0 and the weights; deterministic.
    float32 runs in the compiled core for H <= 128, on the CPU and, in a build with CUDA, on a GPU; everything
    else runs in plain torch.
    precision: "fp32", or "bf16" ("tf32") for products of factors rounded to bfloat16 (tf32), see docs/precision.md.
    save_memory=True keeps no edge array of this step for the backward pass, which computes it again: the same bits.

    Raises InputError when a shape does not fit, an index is outside [0, N), or an option has no such value.

    >>> import torch, botan_fast as bf
    >>> layer = bf.BOTANLayer(hidden_size=64)
    >>> x, e = torch.randn(5, 64), torch.randn(8, 64)
    >>> x1, e1 = layer(x, e, x, e, torch.randint(5, (2, 8)))
    >>> x1.shape, e1.shape
    (torch.Size([5, 64]), torch.Size([8, 64]))
    """

    def __init__(self, hidden_size: int = 64, edge_node_skip: bool = False) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.edge_mlp = MLP((6 if edge_node_skip else 4) * hidden_size, hidden_size)
        self.node_mlp = MLP(3 * hidden_size, hidden_size)

    def forward(
        self,
        x: Tensor,
        e: Tensor,
        x0: Tensor,
        e0: Tensor,
        graph: Graph | Tensor,
        precision: str = "fp32",
        save_memory: bool = False,
    ) -> tuple[Tensor, Tensor]:
        self._check(x, e, x0, e0, graph)
        if isinstance(graph, Graph):
            return self.run(x, e, x0, e0, graph_topology(graph), 1, precision, save_memory)
        if not ops.has_fast_path(self.hidden_size, x.dtype, x.device, precision):  # needs no order
            return self.run(x, e, x0, e0, list(graph), 1, precision, save_memory)
        topology, order = sorted_topology(graph, x.shape[0])
        x, e = self.run(x, e[order], x0, e0[order], topology, 1, precision, save_memory)
        return x, torch.empty_like(e).index_copy(0, order, e)

    def run(
        self,
        x: Tensor | None,
        e: Tensor | None,
        x0: Tensor,
        e0: Tensor,
        topology: list[Tensor],
        num_steps: int,
        precision: str = "fp32",
        save_memory: bool = False,
        packed: ops.Packed | None = None,
    ) -> tuple[Tensor, Tensor]:
        """num_steps steps with the same weights; x = None (e = None) starts from x0 (e0). See `ops.processor`."""
        weights, buffer = (self.weights(), None) if packed is None else packed
        parts = weights[:4], weights[4:]
        return ops.processor(x, e, x0, e0, topology, *parts, num_steps, precision, save_memory, buffer)

    def weights(self) -> list[Tensor]:
        """Those of `edge_mlp`, then those of `node_mlp`."""
        return [*self.edge_mlp.weights(), *self.node_mlp.weights()]

    def _check(self, x: Tensor, e: Tensor, x0: Tensor, e0: Tensor, graph: Graph | Tensor) -> None:
        if isinstance(graph, Graph):
            nodes, edges = graph.num_nodes, graph.num_edges
        elif isinstance(graph, Tensor) and graph.ndim == 2 and graph.shape[0] == 2 and not graph.is_floating_point():
            nodes, edges = x.shape[0], graph.shape[1]
            if not torch.compiler.is_compiling() and edges and (graph.min() < 0 or graph.max() >= nodes):
                bad = graph.min() if graph.min() < 0 else graph.max()
                raise InputError(f"edge_index holds {int(bad)}, outside [0, {nodes}): x has {nodes} rows (nodes)")
        else:
            found = f"shape {tuple(graph.shape)}, {graph.dtype}" if isinstance(graph, Tensor) else type(graph).__name__
            raise InputError(f"graph is {found}; pass a botan_fast.Graph or an integer edge_index of shape (2, E)")
        for name, tensor, rows in (("x", x, nodes), ("x0", x0, nodes), ("e", e, edges), ("e0", e0, edges)):
            if tensor.shape != (rows, self.hidden_size):
                raise InputError(
                    f"{name} has shape {tuple(tensor.shape)}; this graph and hidden_size = {self.hidden_size} "
                    f"need ({rows}, {self.hidden_size})"
                )


class BOTAN(nn.Module):
    """BOTAN, the bond-targeting network (Shiba, Hanai, Suzumura, Shimokawabe, J. Chem. Phys. 158, 084503 (2023)).

        x0 = EN_n(types), e0 = EN_e(vectors)
        num_steps times:  e <- MLP_e([x_sender, x_receiver, e, e0]),  x <- MLP_n([x, x0, sum of incoming e])
        S_i = DE_n(x_i), E_ij = DE_e(e_ij)

    `model(graph)` gives a `Prediction` with node (N,) and edge (E,), float32, for a `Graph` or a batch of graphs.
    `model(graph, precision="bf16")` rounds the factors of all matrix products to bfloat16, adds up in float32 and keeps
    weights and gradients in float32 (docs/precision.md); the default is "fp32". Precision belongs to a call: it is no
    property of the weights.

    `model(graph, save_memory=True)` trains larger graphs in the same memory. For the backward pass the n steps keep
    (n - 1) // 4 edge arrays (E, H) instead of n, and compute the others again, a few at a time: results and gradients
    have the same bits (on CUDA, gradients of weights that are sums over nodes may differ in the last ones). On a CPU a
    training step of N = 4096 takes 0.75 instead of 0.88 GB (0.35 of both are torch) and 16 % more time, in "bf16" 0.65
    instead of 0.73 GB and 20 % more time (`python -m benchmarks.save_memory`).

    Args:
        hidden_size: feature width H; up to 128 there is a fast path (`ops.padded_width`), above it plain torch runs.
        num_steps: message-passing steps n, all with the same weights.
        decoders: "separate" (the paper), "shared" (one for nodes and edges: the authors' code and published weights)
            or "node" (no edge output: Bapst et al. 2020).
        dimensions: D, 2 or 3.
        edge_node_skip: MLP_e also reads x0 of both ends (Bapst et al. 2020).
        self_edges: the graphs hold an edge from every particle to itself (Bapst et al. 2020).
        cutoff: neighbour distance of the graphs that the model is meant for, in the units of the positions.
        node_target: what the node output means: "S" the propensity, or another letter of `Targets` (R, C, D, G, L).
        node_inputs: what EN_n reads, in this order: "type" (the number of the species), "species" (one column for each
            of num_species, 1 for the particle's), and any other name: an entry of `graph.arrays`.
        edge_inputs: what EN_e reads: "vector" (r[receiver] - r[sender]), "radial" (`radial` of its length), "inherent"
            (`graph.inherent_vectors`, then `radial` of their lengths).
        input_columns: columns of the entries of `graph.arrays`, {"descriptors": 61}; 1 for those that are not here.
        num_species: S, for "species" and `scaled`.
        radial: (first centre, last centre, number, w): functions exp(-(r - c_k)^2 / (2 w^2)), centres c_k evenly from
            the first to the last, in the units of the positions.
        num_outputs: K outputs of each decoder, such as one for each time (`model.card.times`).
        scaled: S_i = mean[k, type] + width[k, type] * DE_n(x_i)_k, and E_ij by pairs of types, with means and widths
            of the training data (`botan_fast.model.scales.fit_outputs`). Inputs that are not the default ones are
            scaled always (`fit_inputs`), but for types and vectors.
        structure: plain data, not read here: how arrays and inherent_vectors are made from positions.

    `model.config` holds these arguments as plain data (lists, not tuples), `model.card` what the weights were trained
    for (`ModelCard`), or None.

    Under `torch.no_grad()` on a CPU a large system is taken slab by slab, with a few slabs in memory and the same bits;
    `slabs` says how it is cut (docs/models.md, "Large systems").

    `model(graph, raw=True)` gives the decoders' outputs before means and widths, what the loss compares with
    `model.scale_targets(graph, node, edge)`.

    Raises InputError for an argument outside these, and when a graph does not fit the model: another number of
    dimensions, no array of a name in node_inputs, another number of columns, a species that the model does not know.

    >>> import numpy as np, botan_fast as bf
    >>> rng = np.random.default_rng(0)
    >>> graph = bf.build_graph(rng.uniform(0, 4.5, (100, 3)), rng.integers(0, 2, 100), [4.5, 4.5, 4.5])
    >>> prediction = bf.BOTAN()(graph)
    >>> prediction.node.shape == (100,), prediction.edge.shape == (graph.num_edges,)
    (True, True)
    >>> wide = bf.BOTAN(node_inputs=["species"], num_species=2, edge_inputs=["vector", "radial"], num_outputs=3)
    >>> wide(graph).node.shape
    torch.Size([100, 3])
    """

    def __init__(
        self,
        hidden_size: int = 64,
        num_steps: int = 7,
        decoders: str = "separate",
        dimensions: int = 3,
        edge_node_skip: bool = False,
        self_edges: bool = False,
        cutoff: float = 2.0,
        node_target: str = "S",
        node_inputs: Sequence[str] = ("type",),
        edge_inputs: Sequence[str] = ("vector",),
        input_columns: Mapping[str, int] | None = None,
        num_species: int = 0,
        radial: Sequence[float] = (0.75, 2.0, 18, 0.08),
        num_outputs: int = 1,
        scaled: bool = False,
        structure: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.card: ModelCard | None = None
        self.config: dict[str, Any] = {
            "hidden_size": hidden_size,
            "num_steps": num_steps,
            "decoders": decoders,
            "dimensions": dimensions,
            "edge_node_skip": bool(edge_node_skip),
            "self_edges": bool(self_edges),
            "cutoff": cutoff,
            "node_target": node_target,
            "node_inputs": plain(node_inputs),
            "edge_inputs": plain(edge_inputs),
            "input_columns": plain({} if input_columns is None else input_columns),
            "num_species": num_species,
            "radial": plain(radial),
            "num_outputs": num_outputs,
            "scaled": bool(scaled),
            "structure": plain({} if structure is None else structure),
        }
        check_arguments(self.config)
        self.config["cutoff"] = float(cutoff)
        for name, shape in buffer_shapes(self.config).items():
            self.register_buffer(name, torch.zeros(shape) if name.endswith("mean") else torch.ones(shape))
        nodes, edges = (sum(widths.values()) for widths in input_widths(self.config))
        self.node_encoder = MLP(nodes, hidden_size)
        self.edge_encoder = MLP(edges, hidden_size)
        self.processor = BOTANLayer(hidden_size, edge_node_skip)

        def decoder() -> MLP:
            return MLP(hidden_size, hidden_size, decode=True, num_outputs=num_outputs)

        if decoders == "shared":
            self.decoder = decoder()
        else:
            self.node_decoder = decoder()
            if decoders == "separate":
                self.edge_decoder = decoder()

    def forward(
        self,
        graph: Graph,
        precision: str = "fp32",
        save_memory: bool = False,
        raw: bool = False,
        slabs: Slabs | None = None,
    ) -> Prediction:
        self._check(graph)
        if (slabs := slabs_for(self, graph, slabs)) is not None:
            return Prediction(*predict_in_slabs(self, graph, slabs, precision, raw))
        dtype, packed = self.node_encoder.fc1.weight.dtype, self._pack(precision)

        def run(name: str, rows: Tensor) -> Tensor:
            return getattr(self, name)(rows, precision, *packed.get(name, ()))

        x0 = run("node_encoder", node_columns(self.config, graph, dtype, self._input_scales("node")))
        e0 = run("edge_encoder", edge_columns(self.config, graph, dtype, self._input_scales("edge")))
        steps, topology = self.config["num_steps"], graph_topology(graph)
        of_processor = packed.get("processor", ())
        x, e = self.processor.run(None, None, x0, e0, topology, steps, precision, save_memory, *of_processor)
        decoders = self.config["decoders"]
        if decoders == "shared":
            prediction = Prediction(run("decoder", x), run("decoder", e))
        else:
            edge = run("edge_decoder", e) if decoders == "separate" else None
            prediction = Prediction(run("node_decoder", x), edge)
        if raw or not self.config.get("scaled"):
            return prediction
        (node_mean, node_width), of_edges = self._output_scales(graph)
        edge = prediction.edge
        if edge is not None:
            edge = torch.addcmul(of_edges[0], of_edges[1], edge)
        return Prediction(torch.addcmul(node_mean, node_width, prediction.node), edge)

    def _pack(self, precision: str) -> dict[str, tuple[ops.Packed]]:
        """The weights of the parts as the kernels take them; a part that someone has replaced goes its own way.

        Features stay padded between parts unless there is such a part, or a hook that would see them.
        """
        ours = [(n, m) for n, m in self.named_children() if isinstance(m, MLP | BOTANLayer)]
        parts = {name: part.weights() for name, part in ours if type(part) in (MLP, BOTANLayer)}
        whole = len(parts) == len(ours) and not any(m._forward_hooks or m._forward_pre_hooks for _, m in ours)
        return {name: (packed,) for name, packed in ops.prepare_weights(parts, precision, whole).items()}

    def scale_targets(self, graph: Graph, node: Tensor | None, edge: Tensor | None) -> tuple[Tensor | None, ...]:
        """(target - mean) / width of targets (N,) or (N, K), and (E,) or (E, K), in the units of ``raw=True``.

        What they are without scaled=True, the same tensors. None stays None.

        >>> import torch, botan_fast as bf
        >>> graph = bf.build_graph([[0.5, 0.0], [1.5, 0.0]], [0, 1], box=[4.0, 4.0])
        >>> model = bf.BOTAN(dimensions=2, scaled=True, num_species=2)
        >>> model.node_output_mean[:] = torch.tensor([1.0, 2.0])
        >>> model.scale_targets(graph, torch.tensor([1.5, 1.5]), None)
        (tensor([ 0.5000, -0.5000]), None)
        """
        if not self.config.get("scaled"):
            return node, edge
        scales = self._output_scales(graph)
        return tuple(
            target if target is None or not scale else ((target - scale[0]) / scale[1]).to(target.dtype)
            for target, scale in zip((node, edge), scales, strict=True)
        )

    def _input_scales(self, end: str) -> tuple[Tensor, Tensor] | None:
        mean = getattr(self, f"{end}_input_mean", None)
        return None if mean is None else (mean, getattr(self, f"{end}_input_width"))

    def _output_scales(self, graph: Graph) -> tuple[list[Tensor], list[Tensor]]:
        """Means and widths of every particle and every edge, in the shapes of the outputs; none without edge output."""
        check_species(graph, self.config["num_species"])
        places = {"node": graph.types}
        if self.config["decoders"] != "node":
            senders, receivers = (graph.types.index_select(0, ends) for ends in (graph.senders, graph.receivers))
            places["edge"] = senders * self.config["num_species"] + receivers
        found = {end: self._scales_at(end, place) for end, place in places.items()}
        return found["node"], found.get("edge", [])

    def _scales_at(self, end: str, place: Tensor) -> list[Tensor]:
        """Mean and width of each of these species, or pairs of species, in the shapes of the outputs."""
        both = (getattr(self, f"{end}_output_{name}").flatten(1)[:, place] for name in ("mean", "width"))
        return [values[0] if len(values) == 1 else values.T for values in both]

    def _check(self, graph: Graph) -> None:
        own = self.node_encoder.fc1.weight.device
        if graph.device != own:
            raise InputError(
                f"graph lies on {graph.device} and model on {own}; put both on one device: graph.to('{own}'), or "
                f"model.to('{graph.device}')"
            )
        if graph.vectors.shape[1] != self.config["dimensions"]:
            raise InputError(
                f"graph has {graph.vectors.shape[1]} dimensions; the model has dimensions = {self.config['dimensions']}"
            )
        if graph.self_edges != self.config["self_edges"]:
            raise InputError(
                f"graph has self_edges = {graph.self_edges}; the model has self_edges = {self.config['self_edges']}: "
                "pass that value to build_graph"
            )

    def extra_repr(self) -> str:
        return ", ".join(f"{key}={value!r}" for key, value in stored_config(self.config).items())
