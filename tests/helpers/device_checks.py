"""What the tests on a GPU share: an input, and how far each precision may be from float64 (relative L2)."""

import torch

import botan_fast as bf

OUTPUT = {"fp32": 1e-5, "tf32": 2e-3, "bf16": 2e-2}
# Random weights and inputs of size one: rounding carries ReLUs across their kink (docs/precision.md).
GRADIENT = {"fp32": 1e-4, "tf32": 5e-2, "bf16": 0.25}


def crystal(side=16, seed=0):
    """A disturbed cubic crystal: 4096 particles, about 32 neighbours each."""
    generator = torch.Generator().manual_seed(seed)
    axis = torch.arange(side, dtype=torch.float64)
    positions = torch.cartesian_prod(axis, axis, axis) + 0.2 * torch.rand(side**3, 3, generator=generator)
    types = torch.randint(2, (side**3,), generator=generator)
    return bf.build_graph(positions.numpy(), types.numpy(), [float(side)] * 3, cutoff=2.0)
