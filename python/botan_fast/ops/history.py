"""What the backward pass of the processor needs of the forward pass, on either device."""

from collections.abc import Iterable

import torch

from .. import _core
from .precision import PRECISIONS

__all__ = ["history_members"]


def history_members(
    num_nodes: int, num_edges: int, hidden: int, num_steps: int, keep: bool, precision: int, save_memory: bool = False
) -> Iterable[tuple[tuple[int, ...], torch.dtype]]:
    """Shapes and dtypes of x, e, sum and c, the members of ProcessorHistory in csrc/botan_fast.h; empty unless `keep`.

    >>> from botan_fast.ops.history import history_members
    >>> [shape for shape, _ in history_members(5, 8, 64, num_steps=7, keep=True, precision=0)]
    [(6, 5, 64), (6, 8, 64), (7, 5, 64), (8, 64)]
    """
    bf16 = PRECISIONS[precision] == "bf16"
    kept_edges = (num_steps - 1) // _core.SAVED_STEPS if save_memory else num_steps if bf16 else num_steps - 1
    shapes = [
        (num_steps - 1, num_nodes, hidden),
        (kept_edges, num_edges, hidden),
        (num_steps, num_nodes, hidden),
        (0,) if save_memory else (num_edges, hidden),
    ]
    stored = torch.bfloat16 if bf16 else torch.float32
    dtypes = [torch.float32, stored, torch.float32, stored]
    return zip(shapes if keep else [(0,)] * 4, dtypes, strict=True)
