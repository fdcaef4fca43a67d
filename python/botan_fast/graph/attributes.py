"""What a graph carries of its particles besides types: named arrays (`Graph.arrays`)."""

from collections.abc import Mapping, Sequence

import torch

from ..errors import InputError
from ..files import printable

__all__ = ["check_floats", "checked_arrays", "joined", "joined_arrays", "layout"]

Arrays = Mapping[str, torch.Tensor]


def check_floats(name: str, tensor: torch.Tensor, shape: tuple[int, ...]) -> None:
    """InputError unless `tensor` holds floating numbers of this shape."""
    if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point() or tensor.shape != shape:
        raise InputError(f"{name} is {_described(tensor)}; it must be a floating tensor of shape {shape}")


def checked_arrays(arrays: Arrays, num_nodes: int) -> dict[str, torch.Tensor]:
    """A copy of the dictionary: names with floating tensors (N,) or (N, K), else InputError.

    >>> import torch
    >>> from botan_fast.graph.attributes import checked_arrays
    >>> list(checked_arrays({"energy": torch.zeros(5), "descriptors": torch.zeros(5, 61)}, 5))
    ['energy', 'descriptors']
    """
    if not isinstance(arrays, Mapping):
        raise InputError(f"Graph.arrays is a {type(arrays).__name__}; give a dictionary of names and tensors")
    for name, tensor in arrays.items():
        if not isinstance(name, str):
            raise InputError(f"Graph.arrays has a name of type {type(name).__name__}; names are strings")
        fits = isinstance(tensor, torch.Tensor) and tensor.is_floating_point() and tensor.ndim in (1, 2)
        if not fits or tensor.shape[0] != num_nodes:
            raise InputError(
                f"Graph.arrays[{printable(name, 60)!r}] is {_described(tensor)}; with {num_nodes} types it must be a "
                f"floating tensor of shape ({num_nodes},) or ({num_nodes}, K)"
            )
    return dict(arrays)


def layout(arrays: Arrays | None) -> str:
    """Names and widths in words: what the graphs of a batch must have in common.

    >>> import torch
    >>> from botan_fast.graph.attributes import layout
    >>> layout({"energy": torch.zeros(5), "descriptors": torch.zeros(5, 61)}), layout(None)
    ('descriptors (N, 61), energy (N,)', 'none')
    """
    shapes = {name: tuple(tensor.shape[1:]) for name, tensor in sorted((arrays or {}).items())}
    words = [f"{printable(name, 60)} (N{''.join(f', {k}' for k in rest) or ','})" for name, rest in shapes.items()]
    return ", ".join(words) or "none"


def joined_arrays(parts: Sequence[Arrays | None]) -> dict[str, torch.Tensor] | None:
    """The arrays of a batch from those of its graphs, which have one layout.

    >>> import torch
    >>> from botan_fast.graph.attributes import joined_arrays
    >>> joined_arrays([{"energy": torch.zeros(2)}, {"energy": torch.ones(1)}])
    {'energy': tensor([0., 0., 1.])}
    """
    if parts[0] is None:
        return None
    return {name: torch.cat([(part or {})[name] for part in parts]) for name in parts[0]}


def joined(parts: Sequence[torch.Tensor | None]) -> torch.Tensor | None:
    """The tensors one after the other; None where they are None.

    >>> from botan_fast.graph.attributes import joined
    >>> joined([None, None])
    """
    given = [part for part in parts if part is not None]
    return torch.cat(given) if given else None


def _described(value: object) -> str:
    if isinstance(value, torch.Tensor):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"
