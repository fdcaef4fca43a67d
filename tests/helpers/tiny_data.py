"""Tiny configurations in the format of the authors' files, and the size of a model that goes with them."""

import numpy as np

NUM_PARTICLES = 80  # at density 1.2 the box is 4.05 wide, just more than twice the cutoff
DENSITY = 1.2
TINY = {"hidden_size": 32, "num_steps": 2}  # a size with compiled kernels


def tiny_arrays(seed: int, number: int = NUM_PARTICLES, dimensions: int = 3, runs: int = 6) -> dict[str, np.ndarray]:
    """The arrays of one file: random particles whose displacements grow with their coordinate number."""
    rng = np.random.default_rng(seed)
    edge = (number / DENSITY) ** (1 / dimensions)
    initial = rng.random((number, dimensions)) * edge
    types = (np.arange(number) % 5 == 4).astype(np.int8)
    difference = initial[:, None] - initial[None]
    difference -= edge * np.rint(difference / edge)
    neighbours = (np.linalg.norm(difference, axis=2) < 1.3).sum(axis=1)
    # The scale differs between files, so that the two conventions of the scores differ as well.
    scale = 0.05 * (1 + seed % 4) * neighbours / neighbours.mean()
    final = initial + scale[:, None] * rng.standard_normal((runs, number, dimensions))
    return {"types": types, "initial_positions": initial, "positions": final}


def write_tiny(path, seed: int, **options):
    np.savez(path, **tiny_arrays(seed, **options))
    return path
