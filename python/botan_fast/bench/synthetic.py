"""Synthetic configurations for benchmarks: no file needed, any number of particles."""

import numpy as np

from ..physics.kob_andersen import DENSITY

__all__ = ["dense_liquid"]


def dense_liquid(number: int, seed: int = 0, num_runs: int = 32) -> dict[str, np.ndarray]:
    """A configuration like one of a dense liquid: about 40 neighbours within 2.0, no two particles overlapping.

    A face-centred lattice with a quarter more sites than particles, random sites empty, every particle displaced, order
    random, density 1.2 in a cubic box of edge (number / 1.2)^(1/3): at N = 4096 about as many edges (166,900) as the
    configurations of Shiba et al. have (166,484).

    Returns `types` (N,) int8, A first, then B, four to one; `initial_positions` (N, 3); `positions` (R, N, 3), those of
    the runs, unwrapped: the arrays of the authors' npz files.

    >>> from botan_fast.bench.synthetic import dense_liquid
    >>> dense_liquid(100)["positions"].shape
    (32, 100, 3)
    """
    rng = np.random.default_rng(seed)
    length = (number / DENSITY) ** (1 / 3)
    cells = int(np.ceil((1.25 * number / 4) ** (1 / 3)))
    corners = np.stack(np.meshgrid(*[np.arange(cells)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    basis = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    sites = (corners + basis).reshape(-1, 3) * (length / cells)
    nearest = length / cells / np.sqrt(2)
    chosen = sites[rng.permutation(len(sites))[:number]]
    initial = (chosen + nearest * rng.uniform(-0.06, 0.06, chosen.shape)) % length
    initial[initial >= length] = 0.0  # the remainder of a tiny negative number rounds up to the length
    types = (np.arange(number) >= 0.8 * number).astype(np.int8)
    final = initial + rng.normal(scale=0.3, size=(num_runs, number, 3))
    return {"types": types, "initial_positions": initial, "positions": final}
