"""What a model says about a graph."""

from typing import NamedTuple

from torch import Tensor

__all__ = ["Prediction"]


class Prediction(NamedTuple):
    """What BOTAN predicts: `node` (N,) propensity S_i, `edge` (E,) pair-distance change E_ij, or None.

    With num_outputs K > 1, (N, K) and (E, K): one column for each time that `model.card.times` names.
    Lengths are in the units of the training targets (sigma_AA for the authors' data).

    >>> import torch, botan_fast as bf
    >>> bf.Prediction(node=torch.zeros(2), edge=None).node
    tensor([0., 0.])
    """

    node: Tensor
    edge: Tensor | None
