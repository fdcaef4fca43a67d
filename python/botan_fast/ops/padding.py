"""Weights and features of any width, with zeros up to a width for which there are kernels.

A padded feature is relu(0) = 0 in every layer and its gradient is 0, so results and gradients of the other features
are those of the unpadded network, up to the order of sums; infinite ones may become nan (0 * inf). Every function here
is made of operations of torch: autograd sees the padding, and gives gradients in the shapes of the weights.
"""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor

__all__ = ["pad_features", "pad_mlp", "pad_parts", "pad_processor"]

_T = TypeVar("_T", Tensor, Tensor | None)


def pad_features(rows: _T, width: int) -> _T:
    """(M, H) to (M, width), with zeros; None stays None.

    >>> import torch
    >>> from botan_fast.ops.padding import pad_features
    >>> pad_features(torch.ones(1, 2), 4)
    tensor([[1., 1., 0., 0.]])
    """
    return None if rows is None else torch.nn.functional.pad(rows, (0, width - rows.shape[1]))


def _pad_first(weight: Tensor, blocks: int, width: int) -> Tensor:
    """W1 (H, blocks * H) to (width, blocks * width): every block of H columns on its own."""
    hidden, more = weight.shape[0], width - weight.shape[0]
    apart = weight.reshape(hidden, blocks, hidden)
    return torch.nn.functional.pad(apart, (0, more, 0, 0, 0, more)).reshape(width, blocks * width)


def pad_mlp(weights: Sequence[Tensor], width: int, blocks: int) -> list[Tensor]:
    """W1, b1, W2, b2 (and W3, b3) of width H as those of `width`: what `ops.mlp` takes.

    W1 reads `blocks` blocks of H features, each of which is padded; with blocks = 0 it reads inputs of another kind,
    as an encoder does, and keeps their number.

    >>> import torch
    >>> from botan_fast.ops.padding import pad_mlp
    >>> weights = [torch.ones(2, 3), torch.ones(2), torch.ones(2, 2), torch.ones(2)]
    >>> [tuple(w.shape) for w in pad_mlp(weights, 16, blocks=0)]
    [(16, 3), (16,), (16, 16), (16,)]
    """
    first, *others = weights
    more = width - first.shape[0]
    pad = torch.nn.functional.pad
    padded = [pad(first, (0, 0, 0, more)) if blocks == 0 else _pad_first(first, blocks, width)]
    padded += [pad(others[0], (0, more)), pad(others[1], (0, more, 0, more)), pad(others[2], (0, more))]
    return padded if len(weights) == 4 else [*padded, pad(others[3], (0, more)), others[4]]


def pad_processor(weights: Sequence[Tensor], width: int) -> list[Tensor]:
    """The eight weights of `ops.processor`, those of MLP_e [Ws | Wr | We | W0] (or six blocks) and of MLP_n (three).

    >>> import torch
    >>> from botan_fast.ops.padding import pad_processor
    >>> one = lambda inputs: [torch.ones(2, inputs), torch.ones(2), torch.ones(2, 2), torch.ones(2)]
    >>> tuple(pad_processor([*one(8), *one(6)], 16)[0].shape)
    (16, 64)
    """
    blocks = weights[0].shape[1] // weights[0].shape[0]
    return [*pad_mlp(weights[:4], width, blocks), *pad_mlp(weights[4:], width, 3)]


def pad_parts(parts: Mapping[str, list[Tensor]], width: int) -> dict[str, list[Tensor]]:
    """All parts of a network, padded so that features stay padded from one part to the next.

    Encoders have four weights and read inputs, which stay as they are; decoders have six and read features; the
    processor has eight. Of a network whose weights do not fit each other, which the operators refuse, it is {}.

    >>> import torch
    >>> from botan_fast.ops.padding import pad_parts
    >>> decoder = [torch.ones(2, 2), torch.ones(2), torch.ones(2, 2), torch.ones(2), torch.ones(1, 2), torch.ones(1)]
    >>> [tuple(w.shape) for w in pad_parts({"decoder": decoder}, 16)["decoder"]]
    [(16, 16), (16,), (16, 16), (16,), (1, 16), (1,)]
    """
    hidden = next(iter(parts.values()))[0].shape[0]
    if not all(_fits(part, hidden) for part in parts.values()):
        return {}
    return {
        name: pad_processor(part, width) if len(part) == 8 else pad_mlp(part, width, 1 if len(part) == 6 else 0)
        for name, part in parts.items()
    }


def _fits(part: list[Tensor], hidden: int) -> bool:
    """Whether the shapes are those of this width."""
    own = [(hidden,), (hidden, hidden), (hidden,)]
    shapes = [tuple(w.shape) for w in part]
    if len(part) == 8:
        wide = 6 * hidden if shapes[0] == (hidden, 6 * hidden) else 4 * hidden
        return shapes == [(hidden, wide), *own, (hidden, 3 * hidden), *own]
    if len(part) == 6 and (shapes[0] != (hidden, hidden) or shapes[4][1:] != (hidden,)):
        return False
    return shapes[0][0] == hidden and shapes[1:4] == own
