"""Weights in the order in which the CUDA kernels read them: one launch for all parts of a network.

`processor` and `mlp` on CUDA put their weights in order by themselves, a launch for each call in each direction. A
model calls `pack_weights` instead, once in a forward pass, and hands the result to both; the backward pass reads it
again. It is a result like any other: made anew in each pass, kept by autograd beside the weights, whose versions it
checks.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from ..device import CUDA_KERNELS, kernels_for
from . import cuda
from .library import fake, library, operator
from .padding import pad_parts
from .precision import PRECISIONS, check_precision, in_transform, padded_width

__all__ = ["MOST_INPUTS", "Packed", "pack_weights", "packs_weights", "prepare_weights"]

MOST_INPUTS = 2**16  # columns of x that the CUDA kernels of perceptrons read


class Packed(NamedTuple):
    """Weights of a perceptron or a processor, and the same as the kernels read them, where they are packed.

    >>> import torch
    >>> from botan_fast.ops.packing import Packed
    >>> Packed([torch.ones(32, 3)], None).weights[0].shape
    torch.Size([32, 3])
    """

    weights: list[Tensor]
    buffer: Tensor | None


# `counts`: how many of the weights belong to each part, four or six for a perceptron, eight for a processor.


@operator("pack", "(Tensor[] weights, int[] counts, bool backward, int precision) -> Tensor[]")
def _pack(weights: Sequence[Tensor], counts: Sequence[int], backward: bool, precision: int) -> list[Tensor]:
    return [weights[0].new_empty(0, dtype=torch.uint8) for _ in counts]  # on a CPU weights are read as they are


@fake("pack")
def _(weights: Sequence[Tensor], counts: Sequence[int], backward: bool, precision: int) -> list[Tensor]:
    like, first, buffers = weights[0], 0, []
    for count in counts:
        part, first = weights[first : first + count], first + count
        size = 0 if like.device.type == "cpu" else packed_bytes(part, backward, precision)
        buffers.append(like.new_empty(size, dtype=torch.uint8))
    return buffers


def packed_bytes(weights: Sequence[Tensor], backward: bool, precision: int) -> int:
    """Bytes of a packed part: W1 by slices of H inputs, and W2, once for each direction.

    >>> import torch
    >>> from botan_fast.ops.packing import packed_bytes
    >>> packed_bytes([torch.ones(32, 3)], backward=False, precision=0)  # of which W1 (32, 3) takes one slice
    8192
    """
    hidden = weights[0].shape[0]
    firsts = (weights[0], weights[4]) if len(weights) == 8 else weights[:1]
    slices = sum((w1.shape[1] + hidden - 1) // hidden + 1 for w1 in firsts)
    return slices * hidden * hidden * (2 if PRECISIONS[precision] == "bf16" else 4) * (2 if backward else 1)


if CUDA_KERNELS is not None:
    library.impl("pack", partial(cuda.pack, CUDA_KERNELS), "CUDA")


def packs_weights(device: torch.device) -> bool:
    """Whether anything is packed for this device: only CUDA kernels read weights in another order.

    >>> import torch
    >>> from botan_fast.ops.packing import packs_weights
    >>> packs_weights(torch.device("cpu"))
    False
    """
    return kernels_for(device) is not None


def pack_weights(parts: Mapping[str, list[Tensor]], precision: str = "fp32") -> dict[str, Packed]:
    """All parts of a network for one forward pass and its backward pass; {} where there is nothing to gain.

    A part is the list of weights that `mlp` takes, [W1, b1, W2, b2] and maybe W3, b3, or that of `processor`, both of
    its perceptrons one behind the other. All are of one width H. The result holds for the weights as they are now and
    for this precision. Without CUDA kernels of just this width, on a CPU, in a transform of torch.func, and where
    weights differ in dtype or device, which the operators will refuse, it is {}: they then do without.

    >>> import torch
    >>> from botan_fast import ops
    >>> ops.pack_weights({"encoder": [torch.ones(32, 3), torch.ones(32), torch.ones(32, 32), torch.ones(32)]})
    {}
    """
    number = PRECISIONS.index(check_precision(precision))
    weights = [w for part in parts.values() for w in part]
    if not weights or not packs_weights(weights[0].device) or in_transform():
        return {}
    like = weights[0]
    if like.dtype != torch.float32 or any(w.dtype != like.dtype or w.device != like.device for w in weights):
        return {}
    if padded_width(like.shape[0], like.device, precision) != like.shape[0]:
        return {}
    if any(part[0].shape[0] != like.shape[0] or part[0].shape[1] > MOST_INPUTS for part in parts.values()):
        return {}
    counts = [len(part) for part in parts.values()]
    backward = torch.is_grad_enabled()
    with torch.no_grad():  # of the numbers alone: gradients go through the weights themselves
        buffers = _pack(weights, counts, backward, number)
    return {name: Packed(part, buffer) for (name, part), buffer in zip(parts.items(), buffers, strict=True)}


def prepare_weights(
    parts: Mapping[str, list[Tensor]], precision: str = "fp32", whole: bool = True
) -> dict[str, Packed]:
    """The parts of a network as the kernels take them, for one forward pass: padded to a width of theirs, and packed.

    `parts` is that of `pack_weights`. Where the width has no kernels of its own (`padded_width`), the weights get zeros
    here, once, and features stay padded from the encoders to the decoders; with whole=False, where a part is not among
    these, nothing is padded: each operator then does so for itself. {} where there is nothing to do.

    >>> import torch
    >>> from botan_fast import ops
    >>> encoder = [torch.ones(24, 3), torch.ones(24), torch.ones(24, 24), torch.ones(24)]
    >>> ops.prepare_weights({"encoder": encoder})["encoder"].weights[0].shape
    torch.Size([32, 3])
    """
    check_precision(precision)
    if not parts:
        return {}
    like = next(iter(parts.values()))[0]
    width = padded_width(like.shape[0], like.device, precision)
    if width is None or width == like.shape[0]:
        return pack_weights(parts, precision)
    if not whole or like.dtype != torch.float32 or in_transform():
        return {}
    parts = pad_parts(parts, width)
    packed = pack_weights(parts, precision)
    return {name: packed.get(name, Packed(part, None)) for name, part in parts.items()}
