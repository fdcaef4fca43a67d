"""Every operation of the model in plain torch: the definition, the test oracle, and the fallback.

Any feature width, any floating dtype, any device, any order of derivatives. The fast paths in `ops` compute the
same functions.
"""

import torch
from torch import Tensor

__all__ = ["mlp", "processor", "scatter_sum", "segment_sum"]


def segment_sum(values: Tensor, row_ptr: Tensor) -> Tensor:
    """out_i = sum of values_k for row_ptr_i <= k < row_ptr_{i+1}: (E, ...) and (N+1,) to (N, ...).

    >>> import torch
    >>> from botan_fast import reference
    >>> reference.segment_sum(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([0, 2, 2, 3]))
    tensor([3., 0., 4.])
    """
    counts = row_ptr.diff().long()
    index = torch.repeat_interleave(torch.arange(len(counts), device=values.device), counts, output_size=len(values))
    return scatter_sum(values, index, len(counts))


def scatter_sum(values: Tensor, index: Tensor, dim_size: int) -> Tensor:
    """out_i = sum of values_k over all k with index_k = i: (E, ...) and (E,) to (dim_size, ...).

    >>> import torch
    >>> from botan_fast import reference
    >>> reference.scatter_sum(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([2, 0, 2]), 3)
    tensor([2., 0., 5.])
    """
    return values.new_zeros((dim_size, *values.shape[1:])).index_add(0, index.long(), values)


def mlp(x: Tensor, weights: list[Tensor]) -> Tensor:
    """relu(W2 relu(W1 x + b1) + b2), and with six weights W3 of that plus b3, squeezed: (M, K) to (M, H) or (M,).

    `weights` is [W1, b1, W2, b2] or [W1, b1, W2, b2, W3, b3], each W (out, in).

    >>> import torch
    >>> from botan_fast import reference
    >>> eye, zero = torch.eye(2), torch.zeros(2)
    >>> reference.mlp(torch.tensor([[1.0, -1.0]]), [eye, zero, 2 * eye, zero])
    tensor([[2., 0.]])
    """
    w1, b1, w2, b2 = weights[:4]
    linear = torch.nn.functional.linear
    hidden = torch.relu(linear(torch.relu(linear(x, w1, b1)), w2, b2))
    return hidden if len(weights) == 4 else linear(hidden, weights[4], weights[5]).squeeze(-1)


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
) -> tuple[Tensor, Tensor]:
    """num_steps rounds of message passing with the same weights (Shiba et al. 2023, section II and figure 2).

        e <- MLP_e([x_sender, x_receiver, e, e0])
        x <- MLP_n([x, x0, sum of e over incoming edges])

    x, x0 are (N, H), e, e0 are (E, H); x = None (e = None) starts from x0 (e0). An MLP_e of 6 H inputs also reads
    [x0_sender, x0_receiver], the older model of Bapst et al., Nature Physics 16, 448 (2020).

    >>> import torch
    >>> from botan_fast import reference
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
    skip = edge_weights[0].shape[1] == 6 * e0.shape[1]
    for _ in range(num_steps):
        inputs = [x.index_select(0, senders), x.index_select(0, receivers), e, e0]
        if skip:
            inputs += [x0.index_select(0, senders), x0.index_select(0, receivers)]
        e = mlp(torch.cat(inputs, dim=1), edge_weights)
        x = mlp(torch.cat([x, x0, scatter_sum(e, receivers, x0.shape[0])], dim=1), node_weights)
    return x, e
