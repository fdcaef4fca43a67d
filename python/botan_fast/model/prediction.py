"""What a model says about a graph."""

from typing import NamedTuple

from torch import Tensor

from ..markup import html_table

__all__ = ["Prediction"]


class Prediction(NamedTuple):
    """What BOTAN predicts: `node` (N,) propensity S_i, `edge` (E,) pair-distance change E_ij, or None.

    With num_outputs K > 1, (N, K) and (E, K): one column for each time that `model.card.times` names.
    Lengths are in the units of the training targets (sigma_AA for the authors' data). It is shown in a line without its
    numbers, in a notebook as a table.

    >>> import torch, botan_fast as bf
    >>> prediction = bf.Prediction(node=torch.zeros(2), edge=None)
    >>> prediction.node
    tensor([0., 0.])
    >>> prediction
    Prediction(node=(2,) float32 on cpu, edge=None)
    """

    node: Tensor
    edge: Tensor | None

    def __repr__(self) -> str:
        return f"Prediction(node={_described(self.node)}, edge={_described(self.edge)})"

    def _repr_html_(self) -> str:
        rows = [("node", self.node), ("edge", self.edge)]
        return html_table("Prediction", [(name, _range(values)) for name, values in rows])


def _described(values: Tensor | None) -> str:
    if not isinstance(values, Tensor):
        return str(values)
    return f"{tuple(values.shape)} {str(values.dtype).removeprefix('torch.')} on {values.device}"


def _range(values: Tensor | None) -> str:
    """The line of `_described`, and between which numbers the values are."""
    if not isinstance(values, Tensor) or values.numel() == 0:
        return _described(values)
    low, high = (float(x) for x in values.detach().aminmax())
    return f"{_described(values)}, from {low:.4g} to {high:.4g}"
