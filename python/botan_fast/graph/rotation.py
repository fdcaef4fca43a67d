"""Random rotations: what a configuration may be turned by without a change of its targets."""

import torch

__all__ = ["random_orthogonal"]


def random_orthogonal(dimensions: int, generator: torch.Generator) -> torch.Tensor:
    """An orthogonal matrix (D, D), float32 on the CPU, uniform (Haar) on O(D): rotations and reflections.

    The Q of a Gaussian matrix is Haar-distributed once the signs of R's diagonal are made positive (Mezzadri, Notices
    Amer. Math. Soc. 54, 592 (2007)); in float64, so that Q is orthogonal to float32 accuracy.

    >>> import torch
    >>> from botan_fast.graph.rotation import random_orthogonal
    >>> q = random_orthogonal(3, torch.Generator().manual_seed(0))
    >>> torch.allclose(q @ q.T, torch.eye(3), atol=1e-6)
    True
    """
    q, r = torch.linalg.qr(torch.randn(dimensions, dimensions, generator=generator, dtype=torch.float64, device="cpu"))
    return (q * r.diagonal().sign()).float()
