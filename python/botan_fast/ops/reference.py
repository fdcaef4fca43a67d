"""Every operation of the model in plain torch: the definition, the test oracle, and the fallback.

Any feature width, any floating dtype, any device, any order of derivatives. The fast paths in `ops` compute the
same functions.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

_Step = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # x and e before a step to those after it

__all__ = ["last_layer", "linear", "loss", "mlp", "processor", "scatter_sum", "segment_sum"]


def segment_sum(values: Tensor, row_ptr: Tensor) -> Tensor:
    """out_i = sum of values_k for row_ptr_i <= k < row_ptr_{i+1}: (E, ...) and (N+1,) to (N, ...).

    >>> import torch
    >>> from botan_fast.ops import reference
    >>> reference.segment_sum(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 2, 2, 3]))
    tensor([3., 0., 4.])
    """
    counts = row_ptr.diff().long()
    index = torch.repeat_interleave(torch.arange(len(counts), device=values.device), counts, output_size=len(values))
    return scatter_sum(values, index, len(counts))


def scatter_sum(values: Tensor, index: Tensor, dim_size: int) -> Tensor:
    """out_i = sum of values_k over all k with index_k = i: (E, ...) and (E,) to (dim_size, ...).

    >>> import torch
    >>> from botan_fast.ops import reference
    >>> reference.scatter_sum(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([2, 0, 2]), 3)
    tensor([2., 0., 5.])
    """
    return values.new_zeros((dim_size, *values.shape[1:])).index_add(0, index.long(), values)


class _Round(torch.autograd.Function):
    """x rounded to bfloat16, in the dtype of x; the gradient passes unchanged."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.bfloat16().to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad


class _RoundGradient(torch.autograd.Function):
    """x unchanged; the gradient is rounded to bfloat16."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _Round.apply(grad)


# Arrays of edges between steps are rounded like factors in "bf16", and only there.
_stored, _gradient_stored = _Round.apply, _RoundGradient.apply


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, precision: str = "fp32") -> Tensor:
    """W x + b: (..., K) to (..., H), weight (H, K).

    In precision "bf16" both factors of each of the three products, W x here and W^T g and g x^T in its gradient, are
    rounded to bfloat16 (to nearest, ties to even); products are added up in the dtype of x. The sum over g that is the
    gradient of b is not a product and not rounded.

    >>> import torch
    >>> from botan_fast.ops import reference
    >>> x, w = torch.tensor([1 + 2**-9]), torch.ones(1, 1)
    >>> reference.linear(x, w).item(), reference.linear(x, w, precision="bf16").item()
    (1.001953125, 1.0)
    """
    if precision != "bf16":  # tf32 is a permission to round, of which this makes no use
        return torch.nn.functional.linear(x, weight, bias)
    y = _RoundGradient.apply(torch.nn.functional.linear(_Round.apply(x), _Round.apply(weight)))
    return y if bias is None else y + bias


def mlp(x: Tensor, weights: list[Tensor], precision: str = "fp32") -> Tensor:
    """relu(W2 relu(W1 x + b1) + b2), and with six weights W3 of that plus b3: (M, K) to (M, H), or (M,), or (M, O).

    `weights` is [W1, b1, W2, b2] or [W1, b1, W2, b2, W3, b3], each W (out, in); an output O = 1 is squeezed.

    >>> import torch
    >>> from botan_fast.ops import reference
    >>> eye, zero = torch.eye(2), torch.zeros(2)
    >>> reference.mlp(torch.tensor([[1.0, -1.0]]), [eye, zero, 2 * eye, zero])
    tensor([[2., 0.]])
    """
    w1, b1, w2, b2 = weights[:4]
    hidden = torch.relu(linear(torch.relu(linear(x, w1, b1, precision)), w2, b2, precision))
    return hidden if len(weights) == 4 else last_layer(hidden, weights[4], weights[5], precision)


def last_layer(hidden: Tensor, weight: Tensor, bias: Tensor, precision: str = "fp32") -> Tensor:
    """W3 y + b3 of a decoder: (M, H) to (M,) for W3 (1, H), else to (M, O).

    >>> import torch
    >>> from botan_fast.ops import reference
    >>> reference.last_layer(torch.ones(5, 2), torch.ones(1, 2), torch.zeros(1)).shape
    torch.Size([5])
    """
    return linear(hidden, weight, bias, precision).squeeze(-1)


def processor(
    x: Tensor | None,
    e: Tensor | None,
    x0: Tensor,
    e0: Tensor,
    senders: Tensor,
    receivers: Tensor,
    edge_weights: list[Tensor],
    node_weights: list[Tensor],
    num_steps: int,
    precision: str = "fp32",
    save_memory: bool = False,
) -> tuple[Tensor, Tensor]:
    """num_steps rounds of message passing with the same weights (Shiba et al. 2023, section II and figure 2).

        e <- MLP_e([x_sender, x_receiver, e, e0])
        x <- MLP_n([x, x0, sum of e over incoming edges])

    x, x0 are (N, H), e, e0 are (E, H); x = None (e = None) starts from x0 (e0). An MLP_e of 6 H inputs also reads
    [x0_sender, x0_receiver], the older model of Bapst et al., Nature Physics 16, 448 (2020). In precision "bf16" the
    factors of products are rounded as in `linear`, where the first weights act block by block: W_s x and W_r x on
    nodes, W_0 e0 and V_0 x0 once. With save_memory autograd keeps only what enters each step and computes the rest of
    the step again in the backward pass: the same gradients from less memory, in more time.

    >>> import torch
    >>> from botan_fast.ops import reference
    >>> edge = [torch.ones(1, 4), torch.zeros(1), torch.ones(1, 1), torch.zeros(1)]
    >>> node = [torch.ones(1, 3), torch.zeros(1), torch.ones(1, 1), torch.zeros(1)]
    >>> x0, e0 = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.5]])
    >>> x, e = reference.processor(None, None, x0, e0, torch.tensor([0]), torch.tensor([1]), edge, node, 1)
    >>> x.T, e
    (tensor([[2., 8.]]), tensor([[4.]]))
    """
    x = x0 if x is None else x
    e = e0 if e is None else e
    senders, receivers = senders.long(), receivers.long()
    if precision == "bf16":
        step = _step_bf16(x0, e0, senders, receivers, edge_weights, node_weights)
    else:
        step = _step(x0, e0, senders, receivers, edge_weights, node_weights)
    if save_memory:
        step = partial(checkpoint, step, use_reentrant=False, preserve_rng_state=False)
    for _ in range(num_steps):
        x, e = step(x, e)
    return x, e


def _step(
    x0: Tensor,
    e0: Tensor,
    senders: Tensor,
    receivers: Tensor,
    edge_weights: list[Tensor],
    node_weights: list[Tensor],
) -> _Step:
    skip = edge_weights[0].shape[1] == 6 * e0.shape[1]

    def step(x: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        inputs = [x.index_select(0, senders), x.index_select(0, receivers), e, e0]
        if skip:
            inputs += [x0.index_select(0, senders), x0.index_select(0, receivers)]
        e = mlp(torch.cat(inputs, dim=1), edge_weights)
        x = mlp(torch.cat([x, x0, scatter_sum(e, receivers, x0.shape[0])], dim=1), node_weights)
        return x, e

    return step


def _step_bf16(
    x0: Tensor,
    e0: Tensor,
    senders: Tensor,
    receivers: Tensor,
    edge_weights: list[Tensor],
    node_weights: list[Tensor],
) -> _Step:
    """A step with W1 = [W_s, W_r, W_e, W_0(, W_s0, W_r0)] and V1 = [V_x, V_0, V_sum] taken apart.

    Rounding is not linear, so this is where it happens. W_0 e0 + b1 is rounded to bfloat16, which is how it is stored.
    The gradient of z is rounded to bfloat16 once, which is how it is stored, and everything that follows from it,
    products and sums over edges and steps, uses the rounded one.
    """
    (w1, b1, w2, b2), (v1, a1, v2, a2) = edge_weights, node_weights
    width = e0.shape[1]
    blocks, (v_x, v_0, v_sum) = w1.split(width, dim=1), v1.split(width, dim=1)
    product = lambda rows, weight: linear(rows, weight, precision="bf16")  # noqa: E731
    from_e0, from_x0 = _stored(product(e0, blocks[3]) + b1), product(x0, v_0) + a1
    from_sender0, from_receiver0 = (product(x0, w) for w in blocks[4:]) if len(blocks) == 6 else (0, 0)

    def step(x: Tensor, e: Tensor) -> tuple[Tensor, Tensor]:
        at_sender, at_receiver = product(x, blocks[0]) + from_sender0, product(x, blocks[1]) + from_receiver0
        z = product(e, blocks[2]) + from_e0 + at_sender.index_select(0, senders)
        z = _gradient_stored(z + at_receiver.index_select(0, receivers))
        e = torch.relu(product(torch.relu(z), w2) + b2)
        incoming = scatter_sum(e, receivers, x0.shape[0])
        x = torch.relu(product(torch.relu(from_x0 + product(x, v_x) + product(incoming, v_sum)), v2) + a2)
        return x, e

    return step


def loss(
    node: Tensor | None,
    edge: Tensor | None,
    node_target: Tensor | None,
    edge_target: Tensor | None,
    p: float,
    row_ptr: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """p mean_i (S_hat_i - S_i)^2 + (1 - p) mean_ij (E_hat_ij - E_ij)^2, and the two means (Shiba et al. 2023).

    Predictions and targets are (N,) and (E,). A part without prediction or target is 0, and one without weight adds
    nothing; the mean over nothing is nan. With row_ptr (N+1,) only the first row_ptr[N] of E numbers are edges.

    >>> import torch
    >>> from botan_fast.ops import reference
    >>> reference.loss(torch.ones(4), torch.ones(6), torch.zeros(4), 3 * torch.ones(6), 0.25)
    (tensor(3.2500), tensor(1.), tensor(4.))
    """
    like = edge if node is None else node
    assert like is not None  # one of the two is given
    node_loss = edge_loss = like.new_zeros(())
    if node is not None and node_target is not None:
        node_loss = torch.mean((node - node_target) ** 2)
    if edge is not None and edge_target is not None:
        difference = edge - edge_target
        if row_ptr is None:
            edge_loss = torch.mean(difference**2)
        else:
            is_edge = torch.arange(len(edge), device=edge.device) < row_ptr[-1]
            edge_loss = torch.sum(torch.where(is_edge, difference, 0) ** 2) / row_ptr[-1]
    # Any: for mypy this could be the 0 that the sum starts from, but one of the weights is positive.
    total: Any = sum(weight * part for weight, part in ((p, node_loss), (1 - p, edge_loss)) if weight > 0)
    return total, node_loss, edge_loss
