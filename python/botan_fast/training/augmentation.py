"""Random rotations of the edge vectors, the only geometric input of the network."""

import torch

from ..errors import InputError
from ..graph.rotation import random_orthogonal

__all__ = ["AUGMENTATIONS", "check_augmentation", "random_rotation"]

AUGMENTATIONS = ("octahedral", "o3", "none")


def check_augmentation(augmentation: str) -> None:
    if augmentation not in AUGMENTATIONS:
        raise InputError(f"augmentation = {augmentation!r} is unknown; use one of {', '.join(AUGMENTATIONS)}")


def random_rotation(augmentation: str, dimensions: int, generator: torch.Generator) -> torch.Tensor | None:
    """Draw the orthogonal matrix Q by which a sample's edge vectors are turned: vectors @ Q.T.

    The targets S_i and E_ij are scalars, so every element of O(D) leaves them as they are, reflections included.

    Parameters
    ----------
    augmentation : {"octahedral", "o3", "none"}
        "octahedral": one of the 48 signed axis permutations (8 in two dimensions), uniformly, as in the authors' code
        (Shiba et al., J. Chem. Phys. 158, 084503 (2023)); "o3": uniform (Haar) on O(3), or O(2) in two
        dimensions; "none": no rotation, and nothing is drawn.
    dimensions : int
        D, 2 or 3.
    generator : torch.Generator
        The source of randomness, on the CPU.

    Returns
    -------
    (D, D) float32 tensor on the CPU, or None for "none".

    Raises
    ------
    InputError
        for an unknown augmentation.

    Examples
    --------
    >>> import torch
    >>> from botan_fast.training.augmentation import random_rotation
    >>> q = random_rotation("o3", 3, torch.Generator().manual_seed(0))
    >>> torch.allclose(q @ q.T, torch.eye(3), atol=1e-6)
    True
    """
    check_augmentation(augmentation)
    if augmentation == "none":
        return None
    if augmentation == "octahedral":
        axes = torch.randperm(dimensions, generator=generator, device="cpu")
        signs = torch.randint(0, 2, (dimensions, 1), generator=generator, device="cpu").to(torch.float32) * 2 - 1
        return signs * torch.eye(dimensions, dtype=torch.float32, device="cpu")[axes]
    return random_orthogonal(dimensions, generator)
