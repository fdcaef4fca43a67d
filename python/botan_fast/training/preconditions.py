"""What must hold before a run begins: one process, targets for the loss, one number of dimensions."""

import os

from ..data.sample import Sample
from ..errors import DataError, InputError

__all__ = ["check_alone", "require_pair_targets", "same_dimensions"]


def check_alone() -> None:
    """Refuse to do in each process of torchrun or srun what one process does."""
    world = os.environ.get("WORLD_SIZE", "1")
    if world not in ("", "0", "1"):
        raise InputError(
            f"WORLD_SIZE = {world}: botan_fast trains a model in one process, and {world} of them would all do the "
            "same work; start it once, without torchrun, or unset WORLD_SIZE"
        )


def require_pair_targets(samples: list[Sample], p: float) -> None:
    """DataError for a sample without the E_ij that p < 1 trains."""
    for sample in samples:
        if p < 1 and not sample.has_pair_targets:
            raise DataError(
                f"configuration {sample.name} has no E_ij, which p = {p} trains; use p=1, or data with trajectories"
            )


def same_dimensions(samples: list[Sample]) -> int:
    """The number of dimensions of all samples; InputError when they differ."""
    first = samples[0]
    for sample in samples:
        if sample.positions.shape[1] != first.positions.shape[1]:
            raise InputError(
                f"{sample.name} is {sample.positions.shape[1]}-dimensional but {first.name} is "
                f"{first.positions.shape[1]}-dimensional; train on data of one dimension"
            )
    return first.positions.shape[1]
