"""The batch of a captured training step, and what the step leaves for the host: operators that write into given arrays.

Everything that differs from step to step comes from tensors on the device, so that a CUDA graph which holds these
operators serves every batch: which configurations, their rotations and noise, and the number of the batch. What is not
there has no rows or no columns: `inherent_vectors` (0, D), `edge_targets` (E, 0), `noise` (N, 0).
"""

import math
from collections.abc import Sequence
from functools import partial
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor

from ..device import CUDA_KERNELS
from ..errors import InputError
from . import cuda
from .library import library

__all__ = [
    "BatchArrays",
    "BatchChoice",
    "BatchSource",
    "StepResults",
    "clip_norm_of",
    "gradient_scale_of",
    "load_batch",
    "record_step",
]


class BatchSource(NamedTuple):
    """Configurations end to end. Edges and rows are counted within their own configuration.

    >>> from botan_fast.ops.batches import BatchSource
    >>> BatchSource._fields[:3]
    ('types', 'row_begin', 'numbers')
    """

    types: Tensor  # (M,) int64
    row_begin: Tensor  # (M,) int32: the first edge of each receiver
    numbers: Tensor  # (M, C) float32
    senders: Tensor  # (L,) int32, as the two that follow
    receivers: Tensor
    reverse: Tensor
    vectors: Tensor  # (L, D) float32
    inherent_vectors: Tensor  # (L, D), or (0, D)
    edge_targets: Tensor  # (L, K) float32


class BatchChoice(NamedTuple):
    """Which of them are in a batch of G.

    >>> from botan_fast.ops.batches import BatchChoice
    >>> BatchChoice._fields
    ('places', 'rotations', 'noise', 'noise_widths')
    """

    # (G + 1, 4) int64: first particle and edge in the source, then in the batch; the last row has the numbers of
    # particles and edges of the batch, and so have those of configurations that are not there
    places: Tensor
    rotations: Tensor  # (G, D, D) float32: vectors become rotation v
    noise: Tensor  # (N, Q) float32, Q <= C: noise * noise_widths is added to the last Q columns of the numbers
    noise_widths: Tensor  # (Q,)


class BatchArrays(NamedTuple):
    """Their disjoint union, in arrays with room for more edges: fields of a `Graph`, numbers and targets.

    >>> from botan_fast.ops.batches import BatchArrays
    >>> BatchArrays._fields[-1]
    'status'
    """

    types: Tensor  # (N,) int64
    row_ptr: Tensor  # (N+1,) int32
    numbers: Tensor  # (N, C)
    senders: Tensor  # (E,) int32, as the two that follow
    receivers: Tensor
    reverse: Tensor
    vectors: Tensor  # (E, D)
    inherent_vectors: Tensor  # (E, D), or (0, D)
    edge_targets: Tensor  # (E, K)
    status: Tensor  # (2,) int64


class StepResults(NamedTuple):
    """What `record_step` writes.

    >>> from botan_fast.ops.batches import StepResults
    >>> StepResults._fields
    ('record', 'not_finite', 'gradient_scale', 'steps')
    """

    record: Tensor  # (B, 4) float32: losses and gradient norm of each batch
    not_finite: Tensor  # () float32: 1 where one of the four is not finite, else 0
    gradient_scale: Tensor  # () float32: max(1, (norm + 1e-6) / clip_norm)
    steps: Tensor  # (1,) int64: goes up by one


_FLOAT, _INDEX, _LONG = torch.float32, torch.int32, torch.int64


def _check(source: BatchSource, choice: BatchChoice, batch: BatchArrays) -> None:
    """InputError unless types, shapes and devices are those of the definitions above, and all is dense."""
    (rows, columns), (links, dimensions), targets = source.numbers.shape, source.vectors.shape, source.edge_targets
    nodes, room, graphs = batch.types.shape[0], batch.senders.shape[0], choice.rotations.shape[0]
    noise = choice.noise.shape[-1]
    inherent = 0 if source.inherent_vectors.shape[0] == 0 else 1

    def arrays(nodes: int, edges: int) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
        by_edge = dict.fromkeys(("senders", "receivers", "reverse"), ((edges,), _INDEX))
        return {"types": ((nodes,), _LONG), "numbers": ((nodes, columns), _FLOAT), **by_edge} | {
            "vectors": ((edges, dimensions), _FLOAT),
            "inherent_vectors": ((inherent * edges, dimensions), _FLOAT),
            "edge_targets": ((edges, targets.shape[-1]), _FLOAT),
        }

    expected = {
        "source": arrays(rows, links) | {"row_begin": ((rows,), _INDEX)},
        "choice": {
            "places": ((graphs + 1, 4), _LONG),
            "rotations": ((graphs, dimensions, dimensions), _FLOAT),
            "noise": ((nodes, noise), _FLOAT),
            "noise_widths": ((noise,), _FLOAT),
        },
        "batch": arrays(nodes, room) | {"row_ptr": ((nodes + 1,), _INDEX), "status": ((2,), _LONG)},
    }
    for part, tensors in (("source", source), ("choice", choice), ("batch", batch)):
        for name, tensor in tensors._asdict().items():
            _check_tensor(f"{part}.{name}", tensor, *expected[part][name], source.types.device)
    if noise > columns:
        raise InputError(f"choice.noise has {noise} columns; the numbers have {columns}")


def _check_step(losses: Sequence[Tensor], norms: Tensor, batch: Tensor, results: Sequence[Tensor]) -> None:
    made = StepResults(*results)
    batches, device = made.record.shape[0] if made.record.ndim else 0, made.record.device
    if len(losses) != 3:
        raise InputError(f"losses holds {len(losses)} tensors; give loss, node loss and edge loss")
    for name, tensor, shape, dtype in (
        *((f"losses[{k}]", loss, (), _FLOAT) for k, loss in enumerate(losses)),
        ("norms", norms, (norms.numel(),), _FLOAT),
        ("batch", batch, (1,), _LONG),
        ("results.record", made.record, (batches, 4), _FLOAT),
        ("results.not_finite", made.not_finite, (), _FLOAT),
        ("results.gradient_scale", made.gradient_scale, (), _FLOAT),
        ("results.steps", made.steps, (1,), _LONG),
    ):
        _check_tensor(name, tensor, shape, dtype, device)


def _check_tensor(name: str, tensor: Tensor, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> None:
    if (tuple(tensor.shape), tensor.dtype, tensor.device, tensor.is_contiguous()) != (shape, dtype, device, True):
        raise InputError(
            f"{name} is {tensor.dtype} of shape {tuple(tensor.shape)} on {tensor.device}; it must be a dense {dtype} "
            f"tensor of shape {shape} on {device}"
        )


def _load(source: Sequence[Tensor], choice: Sequence[Tensor], batch: Sequence[Tensor]) -> None:
    """The definition, in plain torch."""
    given, chosen, made = BatchSource(*source), BatchChoice(*choice), BatchArrays(*batch)
    _check(given, chosen, made)
    places, dimensions = chosen.places.tolist(), given.vectors.shape[1]
    nodes, edges = places[-1][2:]
    room = len(made.senders)
    if nodes != len(made.types) or edges > room:
        raise InputError(f"places name {nodes} particles and {edges} edges; the batch has {len(made.types)} and {room}")
    made.senders.zero_()
    made.receivers.zero_()
    made.reverse.copy_(torch.arange(room, device="cpu"))
    made.vectors.zero_()
    made.inherent_vectors.zero_()
    made.edge_targets.fill_(torch.nan)
    made.row_ptr[nodes] = edges
    made.status.copy_(torch.tensor([edges, 0], device="cpu"))
    for graph, (node_source, edge_source, node, edge) in enumerate(places[:-1]):
        node_end, edge_end = places[graph + 1][2:]
        to, of = slice(node, node_end), slice(node_source, node_source + node_end - node)
        made.types[to], made.numbers[to] = given.types[of], given.numbers[of]
        made.row_ptr[to] = given.row_begin[of] + edge
        to, of = slice(edge, edge_end), slice(edge_source, edge_source + edge_end - edge)
        for name, offset in (("senders", node), ("receivers", node), ("reverse", edge)):
            getattr(made, name)[to] = getattr(given, name)[of] + offset
        made.edge_targets[to] = given.edge_targets[of]
        for name in ("vectors", "inherent_vectors") if len(given.inherent_vectors) else ("vectors",):
            vectors, rotation = getattr(given, name)[of], chosen.rotations[graph]
            for i in range(dimensions):
                turned = vectors[:, 0] * rotation[i, 0]
                for j in range(1, dimensions):
                    turned = turned + vectors[:, j] * rotation[i, j]
                getattr(made, name)[to, i] = turned
    noisy = chosen.noise.shape[1]
    if noisy:
        made.numbers[:, -noisy:] += chosen.noise * chosen.noise_widths


def _record(
    losses: Sequence[Tensor], norms: Tensor, clip_norm: float, batch: Tensor, results: Sequence[Tensor]
) -> None:
    """The definition: float64 on the host."""
    _check_step(losses, norms, batch, results)
    record, not_finite, gradient_scale, steps = results
    norm = clip_norm_of(norms)
    values = torch.stack([*losses, norm])
    record[batch[0]] = values
    not_finite.fill_(float(not values.isfinite().all()))
    gradient_scale.copy_(torch.tensor(gradient_scale_of(float(norm), clip_norm), dtype=torch.float32))
    steps += 1


def clip_norm_of(norms: Tensor) -> Tensor:
    """sqrt(sum_k n_k^2) of (P,) float32, in float64 one after the other, rounded once: () on the CPU.

    >>> import torch
    >>> from botan_fast.ops.batches import clip_norm_of
    >>> clip_norm_of(torch.tensor([3.0, 4.0]))
    tensor(5.)
    """
    squares = 0.0
    for norm in norms.tolist():
        squares += norm * norm
    return torch.tensor(math.sqrt(squares), dtype=torch.float32, device="cpu")


def gradient_scale_of(norm: float, clip_norm: float) -> float:
    """max(1, (norm + 1e-6) / clip_norm), by which gradients are divided; the 1e-6 is `clip_grad_norm_`'s.

    >>> from botan_fast.ops.batches import gradient_scale_of
    >>> gradient_scale_of(0.5, 1.0), round(gradient_scale_of(3.0, 1.0), 5)
    (1.0, 3.0)
    """
    scale = (norm + 1e-6) / clip_norm
    return scale if scale > 1 else 1.0


library.define("load_batch(Tensor[] source, Tensor[] choice, Tensor(a!)[] batch) -> ()")
library.define("record_step(Tensor[] losses, Tensor norms, float clip_norm, Tensor batch, Tensor(a!)[] results) -> ()")
library.impl("load_batch", _load, "CPU")
library.impl("record_step", _record, "CPU")


def _load_on_device(
    kernels: ModuleType, source: Sequence[Tensor], choice: Sequence[Tensor], batch: Sequence[Tensor]
) -> None:
    _check(BatchSource(*source), BatchChoice(*choice), BatchArrays(*batch))
    cuda.load_batch(kernels, source, choice, batch)


def _record_on_device(
    kernels: ModuleType,
    losses: Sequence[Tensor],
    norms: Tensor,
    clip_norm: float,
    batch: Tensor,
    results: Sequence[Tensor],
) -> None:
    _check_step(losses, norms, batch, results)
    cuda.record_step(kernels, losses, norms, clip_norm, batch, results)


if CUDA_KERNELS is not None:
    library.impl("load_batch", partial(_load_on_device, CUDA_KERNELS), "CUDA")
    library.impl("record_step", partial(_record_on_device, CUDA_KERNELS), "CUDA")


def load_batch(source: BatchSource, choice: BatchChoice, batch: BatchArrays) -> None:
    """Write the chosen configurations as one graph into the arrays of `batch`; one launch on CUDA.

    Vectors are turned by the rotation of their configuration: out_i = (v_0 R_i0 + v_1 R_i1) + v_2 R_i2, each product
    and sum rounded, so that both devices give the same bits. Beyond the last edge the arrays hold edges 0 -> 0 with the
    zero vector, each its own reverse, with NaN for a target; `status` is (number of edges, 0).

    Raises InputError for another shape, dtype or device, and on the CPU where the batch does not fit its arrays; on
    CUDA, where looking would wait, that is a device assertion.

    >>> import torch
    >>> from botan_fast.ops.batches import BatchArrays, BatchChoice, BatchSource, load_batch
    >>> int32, one = lambda *n: torch.tensor(n, dtype=torch.int32), torch.ones(2, 1)
    >>> source = BatchSource(torch.tensor([0, 1]), int32(0, 1), one, int32(1, 0), int32(0, 1), int32(1, 0),
    ...     torch.tensor([[1.0, 2.0], [-1.0, -2.0]]), torch.empty(0, 2), one)
    >>> turn = torch.tensor([[[0.0, -1.0], [1.0, 0.0]]])
    >>> places = torch.tensor([[0, 0, 0, 0], [0, 0, 2, 2]])
    >>> choice = BatchChoice(places, turn, torch.empty(2, 0), torch.empty(0))
    >>> room = torch.empty(3, dtype=torch.int32)
    >>> batch = BatchArrays(torch.empty(2, dtype=torch.int64), room.clone(), torch.empty(2, 1), room, room.clone(),
    ...     room.clone(), torch.empty(3, 2), torch.empty(0, 2), torch.empty(3, 1), torch.empty(2, dtype=torch.int64))
    >>> load_batch(source, choice, batch)
    >>> batch.vectors.tolist(), batch.row_ptr.tolist(), batch.senders.tolist()
    ([[-2.0, 1.0], [2.0, -1.0], [0.0, 0.0]], [0, 1, 2], [1, 0, 0])
    """
    torch.ops.botan_fast.load_batch.default(list(source), list(choice), list(batch))


def record_step(losses: Sequence[Tensor], norms: Tensor, clip_norm: float, batch: Tensor, results: StepResults) -> None:
    """Write what a step has found: for the host loss, node loss, edge loss and norm of all gradients, for the optimizer
    `not_finite` and `gradient_scale`, as `torch.optim.Adam` reads them from its attributes found_inf and grad_scale.

    The losses are float32 of shape (), `norms` (P,) those of the gradients tensor by tensor, `batch` (1,) int64 is the
    row of the record. The norm is added up in float64 and rounded once. One launch on CUDA, and nothing waits.

    >>> import torch
    >>> from botan_fast.ops.batches import StepResults, record_step
    >>> results = StepResults(torch.zeros(2, 4), torch.zeros(()), torch.zeros(()), torch.zeros(1, dtype=torch.int64))
    >>> losses = [torch.tensor(x) for x in (1.0, 2.0, torch.inf)]
    >>> record_step(losses, torch.tensor([6.0, 8.0]), 2.0, torch.tensor([1]), results)
    >>> results.record[1].tolist(), results.not_finite.item(), results.gradient_scale.item(), results.steps.item()
    ([1.0, 2.0, inf, 10.0], 1.0, 5.000000476837158, 1)
    """
    torch.ops.botan_fast.record_step.default(list(losses), norms, clip_norm, batch, list(results))
