"""Message passing on one slab of a large system after the other: `processor` without gradients, in less memory."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .. import _core
from ..checks import check_offsets, check_range
from ..device import empty
from ..errors import InputError
from .door import number_tensor, processor_tensors
from .library import address, addresses
from .precision import PRECISIONS, check_precision, in_transform, padded_width, precision_on_cpu

__all__ = ["SlabEdges", "SlabNodes", "SlabProcessor", "runs_in_slabs"]


def runs_in_slabs(hidden_size: int, dtype: torch.dtype, device: torch.device) -> bool:
    """Whether `SlabProcessor` can do what `processor` would do here: kernels of the CPU, no gradients, no transform.

    Weights and features of a width between those of the kernels have to be padded before (`padded_width`, padding.py).

    >>> import torch
    >>> from botan_fast.ops.slabs import runs_in_slabs
    >>> with torch.no_grad():
    ...     runs_in_slabs(64, torch.float32, torch.device("cpu"))
    True
    """
    if torch.is_grad_enabled() or device.type != "cpu" or dtype != torch.float32 or in_transform():
        return False
    return padded_width(hidden_size, device) is not None


class SlabNodes(NamedTuple):
    """What is kept of the nodes of a slab between steps: x (M, H), and what follows from x0 alone."""

    x: Tensor
    constants: Tensor


class SlabEdges(NamedTuple):
    """The edges whose receivers are the nodes of a slab, by receiver, and what is kept of them between steps.

    senders (F,) are rows of the table `p_sender`, which has `rows` of them, receivers (F,) those of the slab's nodes,
    both int32; the edges of receiver i are row_ptr[i]:row_ptr[i+1]. e and c are (F, H), float32 or, in "bf16",
    bfloat16.
    """

    senders: Tensor
    receivers: Tensor
    row_ptr: Tensor
    e: Tensor
    c: Tensor
    rows: int


class SlabProcessor:
    """n message-passing steps with the bits of `processor`, one slab and one step at a time; no gradients.

    A slab is any set of nodes with the edges that they receive. A step of it reads Ws x of all senders of its edges,
    in a table (rows, H), and leaves Ws x of its own nodes for the next step: who calls decides where these lie, and in
    which order slabs and steps come. float32 on the CPU, hidden sizes with kernels (`runs_in_slabs`).

    >>> import torch
    >>> from botan_fast import ops
    >>> w = [torch.ones(64, 256), torch.zeros(64), torch.eye(64), torch.zeros(64)]
    >>> v = [torch.ones(64, 192), torch.zeros(64), torch.eye(64), torch.zeros(64)]
    >>> index = torch.tensor([0], dtype=torch.int32)
    >>> slabs = ops.SlabProcessor([*w, *v])
    >>> table = torch.empty(2, 64)  # Ws x of both nodes, which are one slab
    >>> nodes = slabs.nodes(torch.ones(2, 64), table)
    >>> edges = slabs.edges(index, index + 1, torch.tensor([0, 0, 1], dtype=torch.int32), torch.ones(1, 64), rows=2)
    >>> e = slabs.step(nodes, edges, table)
    >>> nodes.x[:, 0], e[0, 0]
    (tensor([  128., 16512.]), tensor(256.))
    """

    def __init__(self, weights: Sequence[Tensor], precision: str = "fp32") -> None:
        check_precision(precision)
        self.hidden = hidden = weights[0].shape[0]
        if not _core.has_fast_path(hidden):
            raise InputError(f"weights are of hidden_size = {hidden}, which has no kernels; call processor instead")
        none = weights[0].new_empty(0, hidden)
        _, self._weights = processor_tensors(None, None, none, none, weights)  # kept: the biases are read from there
        self.bf16 = precision == "bf16"
        self._skip = self._weights[0].shape[1] == 6 * hidden
        number = precision_on_cpu(PRECISIONS.index(precision))
        self._core = _core.SlabProcessor(hidden, self._skip, number, addresses(self._weights))

    def nodes(self, x0: Tensor, p_sender: Tensor, constants: Tensor | None = None) -> SlabNodes:
        """The nodes of a slab before the first step. x0 (M, H) becomes x, which the steps overwrite; p_sender (M, H) is
        filled with Ws x0, and `constants`, if given, of as many numbers, three times as many for an MLP_e with 6 H
        inputs."""
        number_tensor("x0", x0, (len(x0), self.hidden), self._weights[2], "W2")
        number_tensor("p_sender", p_sender, x0.shape, x0, "x0")
        shape = (3 if self._skip else 1, len(x0), self.hidden)
        if constants is None:
            constants = empty(*shape)
        else:
            number_tensor("constants", constants, (shape[0] * x0.numel(),), x0, "x0")
        nodes = SlabNodes(x0.contiguous(), constants)
        arrays = self._of_nodes(nodes), _dense("p_sender", p_sender)
        self._core.begin_nodes(*arrays, torch.get_num_threads())
        return nodes

    def edges(self, senders: Tensor, receivers: Tensor, row_ptr: Tensor, e0: Tensor, rows: int) -> SlabEdges:
        """The edges of a slab before the first step, for tables of `rows` rows. In "fp32" e0 (F, H) becomes e, which
        the steps overwrite."""
        nodes, weight = len(row_ptr) - 1, self._weights[2]
        number_tensor("e0", e0, (len(e0), self.hidden), weight, "W2")
        for name, index, end in (("senders", senders, rows), ("receivers", receivers, nodes)):
            if index.dtype != torch.int32 or index.shape != e0.shape[:1]:
                raise InputError(f"{name} is {index.dtype} of shape {tuple(index.shape)}; give int32 ({len(e0)},)")
            check_range(name, index, end)
        if row_ptr.dtype != torch.int32 or check_offsets("row_ptr", row_ptr, len(e0)) != len(e0):
            raise InputError(f"row_ptr is {row_ptr.dtype} and ends with {int(row_ptr[-1])}; give int32, to {len(e0)}")
        dtype = torch.bfloat16 if self.bf16 else torch.float32
        e0 = e0.contiguous()
        e = empty(*e0.shape, dtype=dtype) if self.bf16 else e0
        c = empty(*e0.shape, dtype=dtype)
        self._core.begin_edges(len(e0), address(e0), address(e), address(c), torch.get_num_threads())
        return SlabEdges(senders.contiguous(), receivers.contiguous(), row_ptr.contiguous(), e, c, rows)

    def step(
        self, nodes: SlabNodes, edges: SlabEdges, p_sender: Tensor, next_p_sender: Tensor | None = None
    ) -> Tensor | None:
        """One step: nodes.x and edges.e are overwritten by those after it.

        p_sender (rows, H) is the table of this step, and next_p_sender (M, H) is filled with Ws x for the next one.
        Without it the step is the last one, and the result is e (F, H) float32.
        """
        x, hidden = nodes.x, self.hidden
        number_tensor("p_sender", p_sender, (edges.rows, hidden), x, "x")
        if len(x) != len(edges.row_ptr) - 1:
            raise InputError(f"nodes are {len(x)} and edges those of {len(edges.row_ptr) - 1}; give those of one slab")
        _dense("p_sender", p_sender)
        last = None
        if next_p_sender is None:
            last = empty(*edges.e.shape) if self.bf16 else edges.e
        else:
            number_tensor("next_p_sender", next_p_sender, x.shape, x, "x")
            _dense("next_p_sender", next_p_sender)
        self._core.step(
            self._of_nodes(nodes),
            (len(edges.senders), *addresses(edges[:5])),
            address(p_sender),
            address(last),
            address(next_p_sender),
            torch.get_num_threads(),
        )
        return last

    def _of_nodes(self, nodes: SlabNodes) -> tuple[int, int, int]:
        return len(nodes.x), address(nodes.x), address(nodes.constants)


def _dense(name: str, tensor: Tensor) -> int:
    """The address of an array that the core writes to."""
    if not tensor.is_contiguous():
        raise InputError(f"{name} is not contiguous, and is written to; give a dense tensor")
    return address(tensor)
