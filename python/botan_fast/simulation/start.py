"""Where a simulation starts: positions on a lattice, velocities of a temperature."""

import math

import numpy as np

__all__ = ["lattice", "maxwell_boltzmann", "wrap"]


def maxwell_boltzmann(num_particles: int, temperature: float, generator: np.random.Generator) -> np.ndarray:
    """Velocities (N, 3) of a Maxwell-Boltzmann distribution without total momentum, scaled to exactly `temperature`.

    2 K / (3 N - 3) = T, with N - 1 free particles since the momentum is fixed.

    >>> import numpy as np
    >>> from botan_fast.simulation.start import maxwell_boltzmann
    >>> v = maxwell_boltzmann(100, 0.64, np.random.default_rng(0))
    >>> round(float((v**2).sum() / (3 * 99)), 12), bool(abs(v.sum()) < 1e-12)
    (0.64, True)
    """
    velocities = generator.standard_normal((num_particles, 3))
    velocities -= velocities.mean(0)
    return velocities * math.sqrt(temperature * 3 * (num_particles - 1) / (velocities**2).sum())


def lattice(
    num_particles: int, fraction_b: float, length: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Positions (N, 3) on random sites of a simple cubic lattice in the box, and types (N,) int64 in random order."""
    cells = max(1, math.ceil(num_particles ** (1 / 3) - 1e-9))
    sites = np.stack(np.meshgrid(*[np.arange(cells)] * 3, indexing="ij"), -1).reshape(-1, 3)
    chosen = np.sort(generator.permutation(len(sites))[:num_particles])
    types = np.zeros(num_particles, np.int64)
    types[generator.permutation(num_particles)[: round(fraction_b * num_particles)]] = 1
    return (sites[chosen] + 0.5) * (length / cells), types


def wrap(positions: np.ndarray, length: float) -> np.ndarray:
    """Positions in [0, length)."""
    positions = np.mod(positions, length)
    return np.where(positions >= length, 0.0, positions)  # -1e-20 mod L is L
