"""The door of the operators: what has passed it may be read through its address.

Every implementation of an operator, on the CPU and on CUDA, takes its tensors through these functions: all numbers are
of one dtype and on one device, shapes fit, indices are int32 or int64, and everything is dense (a copy where it was
not). The numbers of a topology are looked at on the CPU; on CUDA, where that would wait, the kernels stop at an index
that leads out of an array, as torch's own indexing does.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ..checks import check_offsets
from ..errors import InputError

__all__ = [
    "backward_tensors",
    "check_topology",
    "index_tensor",
    "mlp_tensors",
    "number_tensor",
    "processor_tensors",
    "same_device",
    "topology_tensors",
]

MLP_NAMES = ("W1", "b1", "W2", "b2", "W3", "b3")
TOPOLOGY_NAMES = ("senders", "receivers", "row_ptr", "sender_order", "sender_ptr")
_INDEX = (torch.int32, torch.int64)


def number_tensor(name: str, tensor: Tensor, shape: Sequence[int], like: Tensor, like_name: str) -> Tensor:
    """`tensor`, dense, after a check of dtype and device (those of `like`) and shape.

    >>> import torch
    >>> from botan_fast.ops.door import number_tensor
    >>> number_tensor("b1", torch.ones(2), (2,), torch.ones(3), "x")
    tensor([1., 1.])
    """
    if tensor.dtype != like.dtype:
        raise InputError(
            f"{name} is {_short(tensor.dtype)} and {like_name} {_short(like.dtype)}; give all in one dtype, for "
            f"example by .to(torch.{_short(like.dtype)}) (under torch.autocast nn.Linear gives bfloat16 or float16)"
        )
    same_device(name, tensor, like, like_name)
    if tensor.shape != shape:
        raise InputError(
            f"{name} has shape {tuple(tensor.shape)}; beside {like_name} {tuple(like.shape)} it must be {tuple(shape)}"
        )
    return tensor.contiguous()


def same_device(name: str, tensor: Tensor, like: Tensor, like_name: str) -> None:
    """Refuses tensors on two devices: a kernel would read the address of the one on the other.

    >>> import torch
    >>> from botan_fast.ops.door import same_device
    >>> same_device("x", torch.ones(1), torch.ones(1), "W1")
    """
    if tensor.device != like.device:
        raise InputError(
            f"{name} lies on {tensor.device} and {like_name} on {like.device}; put both on one device, for example by "
            f".to('{like.device}')"
        )


def index_tensor(name: str, index: Tensor, like: Tensor, like_name: str) -> Tensor:
    """A dense int32 or int64 tensor on the device of `like`, of one dimension.

    >>> import torch
    >>> from botan_fast.ops.door import index_tensor
    >>> index_tensor("row_ptr", torch.tensor([0, 1, 2])[::2], torch.ones(2), "values")
    tensor([0, 2])
    """
    if index.ndim != 1 or index.dtype not in _INDEX:
        raise InputError(
            f"{name} is {_short(index.dtype)} of shape {tuple(index.shape)}; it must be a one-dimensional int32 or "
            "int64 tensor"
        )
    same_device(name, index, like, like_name)
    return index.contiguous()


def mlp_tensors(x: Tensor, weights: Sequence[Tensor], name: str = "x") -> tuple[Tensor, list[Tensor]]:
    """x (M, K) and W1 (H, K), b1 (H,), W2 (H, H), b2 (H,), and of a decoder W3 (O, H), b3 (O,).

    >>> import torch
    >>> from botan_fast.ops.door import mlp_tensors
    >>> x, weights = mlp_tensors(torch.ones(5, 3), [torch.ones(2, 3), torch.ones(2), torch.ones(2, 2), torch.ones(2)])
    >>> [tuple(w.shape) for w in weights]
    [(2, 3), (2,), (2, 2), (2,)]
    """
    first = weights[0]
    if x.ndim != 2 or first.ndim != 2 or x.shape[1] != first.shape[1]:
        raise InputError(
            f"{name} has shape {tuple(x.shape)} and W1 {tuple(first.shape)}; give {name} (M, K) with the K = "
            f"{first.shape[-1]} inputs of W1 (H, K)"
        )
    hidden, inputs = first.shape
    outputs = weights[4].shape[0] if len(weights) == 6 and weights[4].ndim == 2 else 1
    shapes = ((hidden, inputs), (hidden,), (hidden, hidden), (hidden,), (outputs, hidden), (outputs,))
    if len(weights) not in (4, 6):
        raise InputError(f"weights holds {len(weights)} tensors; give W1, b1, W2, b2, and W3, b3 for a third layer")
    taken = [number_tensor(*one, x, name) for one in zip(MLP_NAMES, weights, shapes, strict=False)]
    return x.contiguous(), taken


def processor_tensors(
    x: Tensor | None, e: Tensor | None, x0: Tensor, e0: Tensor, weights: Sequence[Tensor]
) -> tuple[tuple[Tensor | None, Tensor | None, Tensor, Tensor], list[Tensor]]:
    """(x, e, x0, e0), (N, H) and (E, H), and the eight weights of MLP_e (4 H or 6 H inputs) and MLP_n (3 H inputs).

    >>> import torch
    >>> from botan_fast.ops.door import processor_tensors
    >>> one = lambda inputs: [torch.ones(2, inputs), torch.ones(2), torch.ones(2, 2), torch.ones(2)]
    >>> state, _ = processor_tensors(None, None, torch.ones(5, 2), torch.ones(8, 2), [*one(8), *one(6)])
    >>> [None if t is None else tuple(t.shape) for t in state]
    [None, None, (5, 2), (8, 2)]
    """
    if x0.ndim != 2:
        raise InputError(f"x0 has shape {tuple(x0.shape)}; give (N, H)")
    (nodes, hidden), edges = x0.shape, e0.shape[0]
    state = (
        None if x is None else number_tensor("x", x, (nodes, hidden), x0, "x0"),
        None if e is None else number_tensor("e", e, (edges, hidden), x0, "x0"),
        number_tensor("x0", x0, (nodes, hidden), x0, "x0"),
        number_tensor("e0", e0, (edges, hidden), x0, "x0"),
    )
    if len(weights) != 8:
        raise InputError(f"weights holds {len(weights)} tensors; give W1, b1, W2, b2 of MLP_e, then of MLP_n")
    wide = 6 * hidden if weights[0].shape[-1] == 6 * hidden else 4 * hidden
    taken = []
    for part, inputs, four in (("edge", wide, weights[:4]), ("node", 3 * hidden, weights[4:])):
        shapes = ((hidden, inputs), (hidden,), (hidden, hidden), (hidden,))
        taken += [
            number_tensor(f"{name} of MLP_{part[0]}", tensor, shape, x0, "x0")
            for name, tensor, shape in zip(MLP_NAMES, four, shapes, strict=False)
        ]
    return state, taken


def backward_tensors(
    x0: Tensor, e0: Tensor, outputs: Sequence[Tensor], grad_x_out: Tensor | None, grad_e_out: Tensor | None
) -> tuple[list[Tensor], Tensor | None, Tensor | None]:
    """What the backward pass reads beside the inputs: [x_out, kept arrays ...] of the forward pass, and the gradients
    of x_out (N, H) and e_out (E, H), or None; dense.

    >>> import torch
    >>> from botan_fast.ops.door import backward_tensors
    >>> outputs, grad_x, grad_e = backward_tensors(torch.ones(5, 2), torch.ones(8, 2), [torch.ones(5, 2)], None, None)
    >>> len(outputs), grad_x, grad_e
    (1, None, None)
    """
    for k, tensor in enumerate(outputs):
        same_device(f"outputs[{k}]", tensor, x0, "x0")
    grads = [
        None if grad is None else number_tensor(name, grad, like.shape, like, like_name)
        for name, grad, like, like_name in (("grad_x_out", grad_x_out, x0, "x0"), ("grad_e_out", grad_e_out, e0, "e0"))
    ]
    return [tensor.contiguous() for tensor in outputs], grads[0], grads[1]


def topology_tensors(topology: Sequence[Tensor], x0: Tensor, e0: Tensor, look: bool) -> list[Tensor]:
    """[senders, receivers, row_ptr, sender_order, sender_ptr] as dense int32, see `ops.processor`.

    With `look` their numbers are checked too: both orders name every edge once, and agree with senders and receivers.

    >>> import torch
    >>> from botan_fast.ops.door import topology_tensors
    >>> edge = [torch.tensor(t) for t in ([0], [1], [0, 0, 1], [0], [0, 1, 1])]
    >>> topology_tensors(edge, torch.ones(2, 64), torch.ones(1, 64), look=True)[0].dtype
    torch.int32
    """
    nodes, edges = x0.shape[0], e0.shape[0]
    if len(topology) != 5:
        raise InputError(f"topology holds {len(topology)} tensors; give {', '.join(TOPOLOGY_NAMES)}")
    taken = []
    for name, tensor, length in zip(TOPOLOGY_NAMES, topology, (edges, edges, nodes + 1, edges, nodes + 1), strict=True):
        tensor = index_tensor(name, tensor, x0, "x0")
        if tensor.shape[0] != length:
            raise InputError(
                f"{name} has {tensor.shape[0]} entries; {nodes} rows of x0 and {edges} of e0 need {length}: masks must "
                "be applied to every array of a graph"
            )
        taken.append(tensor.to(torch.int32))
    if look:
        check_topology(taken)
    return taken


def check_topology(topology: Sequence[Tensor]) -> None:
    """The numbers of a topology in host memory, as `topology_tensors` gives it: InputError unless both orders name
    every edge once, and agree with senders and receivers. In parts: a few MB besides, whatever the number of edges.

    >>> import torch
    >>> from botan_fast.ops.door import check_topology
    >>> edge = [torch.tensor(t, dtype=torch.int32) for t in ([0], [1], [0, 0, 1], [0], [0, 1, 1])]
    >>> check_topology(edge)
    """
    senders, receivers, row_ptr, sender_order, sender_ptr = topology
    edges = senders.shape[0]
    number = check_offsets("row_ptr", row_ptr, edges)
    if sender_ptr is not row_ptr and check_offsets("sender_ptr", sender_ptr, edges) != number:
        raise InputError(
            f"row_ptr ends with {number} and sender_ptr with {int(sender_ptr[-1])}; they count the same edges"
        )
    # NumPy from here on: torch's threads would still spin, on cores that the kernels need, after their last loop.
    order = sender_order[:number].numpy()
    if not _is_permutation(order):
        raise InputError(
            f"sender_order does not hold each of 0 ... {number - 1} once; it is the order of edges by sender"
        )
    ends = senders[:number].numpy()
    _check_ends("receivers", receivers[:number].numpy(), None, row_ptr)
    _check_ends("senders", ends, order, sender_ptr)


_PART = 1 << 18  # edges that are looked at together


def _is_permutation(order: np.ndarray) -> bool:
    if order.size == 0:
        return True
    if order.min() < 0 or order.max() >= len(order):
        return False
    # `reverse` of a graph is its own inverse, which is quicker to see than that nothing occurs twice.
    parts = [slice(begin, begin + _PART) for begin in range(0, len(order), _PART)]
    own = all(
        np.array_equal(order[order[part]], np.arange(part.start, min(part.stop, len(order)), dtype=order.dtype))
        for part in parts
    )
    return own or int(np.bincount(order, minlength=len(order)).max()) == 1


def _check_ends(name: str, ends: np.ndarray, order: np.ndarray | None, offsets: Tensor) -> None:
    """That edges offsets[i]:offsets[i+1], in this order, end at node i."""
    rows = offsets.numpy()
    for begin in range(0, len(ends), _PART):
        stop = min(begin + _PART, len(ends))
        # The nodes of these edges: the first and the last of them may have others too.
        first, last = np.searchsorted(rows, (begin, stop - 1), side="right") - 1
        clipped = np.clip(rows[first : last + 2], begin, stop)
        expected = np.repeat(np.arange(first, last + 1, dtype=np.int32), np.diff(clipped))
        found = ends[begin:stop] if order is None else ends[order[begin:stop]]
        if not np.array_equal(found, expected):
            k = int(np.flatnonzero(found != expected)[0])
            raise InputError(
                f"{name} and their offsets disagree: edge {begin + k} in their order has {found[k]} instead of "
                f"{expected[k]}; edges are sorted by receiver, and sender_order sorts them by sender"
            )


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
