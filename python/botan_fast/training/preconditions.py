"""What must hold before a run begins, whatever its data: one process."""

import os

from ..errors import InputError

__all__ = ["check_alone"]


def check_alone() -> None:
    """Refuse to do in each process of torchrun or srun what one process does."""
    world = os.environ.get("WORLD_SIZE", "1")
    if world not in ("", "0", "1"):
        raise InputError(
            f"WORLD_SIZE = {world}: botan_fast trains a model in one process, and {world} of them would all do the "
            "same work; start it once, without torchrun, or unset WORLD_SIZE"
        )
