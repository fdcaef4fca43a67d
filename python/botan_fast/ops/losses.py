"""The loss of BOTAN and its gradient as one torch operator.

The gradient of the total is made in the pass that adds up the squares, and only scaled in the backward pass. A part
that is not given has neither prediction nor target. A gradient that is not kept is empty.
"""

from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..device import CUDA_KERNELS, kernels_for
from ..errors import InputError
from . import cuda, reference
from .door import same_device
from .library import check_index, differentiable_gradients, fake, library, operator
from .precision import in_transform

__all__ = ["Loss", "has_kernels", "loss", "unit_gradient"]

_units: dict[tuple[torch.device, torch.dtype], Tensor] = {}


def _loss_gradient(prediction: Tensor | None, target: Tensor | None, weight: float, row_ptr: Tensor | None) -> Tensor:
    """2 weight (prediction - target) / count, in the roundings of torch's own backward pass."""
    assert prediction is not None  # a gradient is kept of what is given
    assert target is not None  # with every prediction
    count = prediction.shape[0] if row_ptr is None else row_ptr[-1]
    gradient = (prediction - target).mul_(2 * (prediction.new_tensor(weight) / count))
    if row_ptr is None:
        return gradient
    return torch.where(torch.arange(len(gradient), device=gradient.device) < count, gradient, 0)


@operator(
    "loss",
    "(Tensor? node, Tensor? edge, Tensor? node_target, Tensor? edge_target, Tensor? row_ptr, float p, "
    "bool keep_node, bool keep_edge) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def _loss(
    node: Tensor | None,
    edge: Tensor | None,
    node_target: Tensor | None,
    edge_target: Tensor | None,
    row_ptr: Tensor | None,
    p: float,
    keep_node: bool,
    keep_edge: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    # The CPU has no kernel of its own: with the backward pass this is a thousandth of a training step.
    losses = reference.loss(node, edge, node_target, edge_target, p, row_ptr)
    empty = losses[0].new_empty
    return (
        *losses,
        _loss_gradient(node, node_target, p, None) if keep_node else empty(0),
        _loss_gradient(edge, edge_target, 1 - p, row_ptr) if keep_edge else empty(0),
    )


@fake("loss")
def _(
    node: Any, edge: Any, node_target: Any, edge_target: Any, row_ptr: Any, p: Any, keep_node: bool, keep_edge: bool
) -> Any:
    like = edge if node is None else node
    kept = (t.new_empty(t.shape) if keep else like.new_empty(0) for t, keep in ((node, keep_node), (edge, keep_edge)))
    return *(like.new_empty(()) for _ in range(3)), *kept


def _loss_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, ctx.p, ctx.keep_node, ctx.keep_edge = inputs
    ctx.passes_on = not any(t is not None and _keeps_gradient(t) for t in tensors[:2])
    ctx.mark_non_differentiable(*output[1:])
    ctx.save_for_backward(*output[3:], *tensors)
    ctx.set_materialize_grads(False)


def _loss_autograd(ctx: Any, grad: Tensor | None, *_: Tensor | None) -> tuple[Tensor | None, ...]:
    node, edge, *inputs = ctx.saved_tensors
    if torch.is_grad_enabled() and grad is not None:

        def plain(node: Tensor | None, edge: Tensor | None) -> list[Tensor]:
            node_target, edge_target, row_ptr = inputs[2:]
            return [reference.loss(node, edge, node_target, edge_target, ctx.p, row_ptr)[0]]

        return *differentiable_gradients(plain, inputs[:2], [grad]), *(None,) * 6
    keep_node, keep_edge = (keep and grad is not None for keep in (ctx.keep_node, ctx.keep_edge))
    if ctx.passes_on and grad is not None and _is_unit(grad):
        return node if keep_node else None, edge if keep_edge else None, *(None,) * 6
    return node * grad if keep_node else None, edge * grad if keep_edge else None, *(None,) * 6


torch.library.register_autograd("botan_fast::loss", _loss_autograd, setup_context=_loss_setup, lib=library)
if CUDA_KERNELS is not None:
    library.impl("loss", partial(cuda.loss, CUDA_KERNELS), "CUDA")


class Loss(NamedTuple):
    """What `loss` returns, each of shape (): total = p node + (1 - p) edge; only the total has a gradient."""

    total: Tensor
    node: Tensor
    edge: Tensor


def loss(
    node: Tensor | None,
    edge: Tensor | None,
    node_target: Tensor | None,
    edge_target: Tensor | None,
    p: float,
    row_ptr: Tensor | None = None,
) -> Loss:
    """The loss of BOTAN with its gradient, in one pass (Shiba et al., J. Chem. Phys. 158, 084503 (2023)).

        total = p mean_i (S_hat_i - S_i)^2 + (1 - p) mean_ij (E_hat_ij - E_ij)^2

    over all particles and all directed edges, of a graph or a batch of them, and over all outputs of each.

    Args:
        node, node_target: (N,) or (N, K) predictions S_hat and targets S, floating; either None: that part is 0.
        edge, edge_target: (E,) or (E, K) likewise E_hat and E.
        p: weight of the nodes, in [0, 1].
        row_ptr: (N+1,) integers; then the edges are the first row_ptr[N] of E, and the others are not
            counted: for graphs with room for more edges (`build_graph(capacity=...)`).

    Returns `Loss`, of the dtype of the predictions, to which targets are converted. Gradients flow to
    the predictions from `total` alone; a prediction whose part has no weight gets none, rather than zeros, and does not
    make the total nan. The mean over nothing is nan. Deterministic; on CUDA in float32 without waiting for the device.
    Raises InputError for p outside [0, 1], shapes that do not fit, and predictions without any target.

    >>> import torch
    >>> from botan_fast import ops
    >>> node = torch.ones(4, requires_grad=True)
    >>> loss = ops.loss(node, torch.ones(6), torch.zeros(4), torch.full((6,), 3.0), p=0.25)
    >>> loss.total.backward()
    >>> loss.total.item(), loss.node.item(), loss.edge.item(), node.grad
    (3.25, 1.0, 4.0, tensor([0.1250, 0.1250, 0.1250, 0.1250]))
    """
    if not 0 <= p <= 1:
        raise InputError(f"p = {p!r}; the weight of the node loss lies in [0, 1]")
    node, node_target = _loss_part("node", node, node_target)
    edge, edge_target = _loss_part("edge", edge, edge_target)
    given = edge if node is None else node
    if given is None:
        raise InputError("neither node nor edge has both prediction and target; a loss needs at least one of them")
    named = {"node": node, "node_target": node_target, "edge": edge, "edge_target": edge_target, "row_ptr": row_ptr}
    for name, tensor in named.items():
        if tensor is not None:
            same_device(name, tensor, given, "edge" if node is None else "node")
    if row_ptr is not None:
        check_index("row_ptr", row_ptr, 1)
        row_ptr = row_ptr if edge is None or edge.ndim == 1 else row_ptr * edge.shape[1]  # numbers, not edges
    node, node_target, edge, edge_target = (
        t if t is None else t.flatten() for t in (node, node_target, edge, edge_target)
    )
    if node is not None and edge is not None and node.dtype != edge.dtype:
        raise InputError(f"node is {node.dtype} and edge {edge.dtype}; they must be equal")
    # What has no weight is cut off here, so that the backward pass does not reach its decoder.
    node = node.detach() if node is not None and p == 0 else node
    edge = edge.detach() if edge is not None and p == 1 else edge
    if in_transform() or not has_kernels(given.device, given.dtype):
        total, *parts = reference.loss(node, edge, node_target, edge_target, p, row_ptr)
        return Loss(total, *(part.detach() for part in parts))
    keep = (torch.is_grad_enabled() and t is not None and t.requires_grad for t in (node, edge))
    if row_ptr is not None:
        row_ptr = row_ptr.to(torch.int32)
    return Loss(*_loss(node, edge, node_target, edge_target, row_ptr, p, *keep)[:3])


def unit_gradient(total: Tensor) -> Tensor:
    """1, the gradient of a loss with respect to itself: `total.backward(unit_gradient(total))`.

    That is `total.backward()` in three launches less on a GPU: torch would fill a new tensor with 1, and both gradients
    would be multiplied by it. The operator knows this tensor again, by its identity; nothing is read from the device.
    One tensor for each device and dtype. While a CUDA graph is captured, none is made that outlives the graph: call it
    once before, as the steps that warm up a capture do.

    >>> import torch
    >>> from botan_fast import ops
    >>> node = torch.ones(4, requires_grad=True)
    >>> total = ops.loss(2 * node, None, torch.zeros(4), None, p=1).total
    >>> total.backward(ops.unit_gradient(total))
    >>> node.grad
    tensor([2., 2., 2., 2.])
    """
    key = total.device, total.dtype
    unit = _units.get(key)
    if unit is not None and unit._version == 0:
        return unit
    with torch.inference_mode(False):
        unit = torch.ones((), device=total.device, dtype=total.dtype)
    if total.device.type != "cuda" or not torch.cuda.is_current_stream_capturing():
        _units[key] = unit
    return unit


def _keeps_gradient(prediction: Tensor) -> bool:
    """A leaf, flattened or not, may keep the gradient that it is given and add to it later: it needs one of its own."""
    source = prediction._base if prediction._is_view() else prediction
    return source is not None and source.is_leaf and source.requires_grad


def _is_unit(grad: Tensor) -> bool:
    unit = _units.get((grad.device, grad.dtype))
    return grad is unit and unit._version == 0  # nobody has written to it


def has_kernels(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether the operator computes with this type on this device; else `reference` runs.

    >>> import torch
    >>> from botan_fast.ops import losses
    >>> losses.has_kernels(torch.device("cpu"), torch.float64)
    True
    """
    return device.type == "cpu" or (kernels_for(device) is not None and dtype == torch.float32)


def _loss_part(name: str, prediction: Tensor | None, target: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """Both or neither; the target in the dtype of the prediction."""
    if prediction is None or target is None:
        return None, None
    if prediction.ndim not in (1, 2) or prediction.shape != target.shape or not prediction.is_floating_point():
        raise InputError(
            f"{name} is {prediction.dtype} of shape {tuple(prediction.shape)} and {name}_target has shape "
            f"{tuple(target.shape)}; both are one number, or one row, for each {name}, predictions floating"
        )
    return prediction, target.to(prediction.dtype)
