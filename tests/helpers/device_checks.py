"""What the tests on a GPU share: an input, and how far each precision may be from float64 (relative L2)."""

import torch

import botan_fast as bf
from tests.helpers.random_graphs import relative_l2

OUTPUT = {"fp32": 1e-5, "tf32": 2e-3, "bf16": 2e-2}
# Random weights and inputs of size one: rounding carries ReLUs across their kink (docs/precision.md), on the CPU too.
# In fp32 one edge of 20,000 moves any gradient by 1e-3, but the rows of most other edges not at all.
GRADIENT = {"fp32": 3e-3, "tf32": 5e-2, "bf16": 0.25}


def assert_gradient(got, want, precision, *, clear=False, rows=False):
    """Within the promise of the precision, as far as kinks let it be kept.

    `clear`: ReLUs of the input keep clear of their kink (`processor_case.clear_case`); `rows`: of an array of edges.
    """
    got, want = got.cpu().double(), want.double()
    assert relative_l2(got, want) < (OUTPUT if clear and precision == "fp32" else GRADIENT)[precision]
    if rows and precision == "fp32":
        assert (got - want).norm(dim=1).median() < OUTPUT["fp32"] * want.norm(dim=1).mean()


def crystal(side=16, seed=0):
    """A disturbed cubic crystal: 4096 particles, about 32 neighbours each."""
    generator = torch.Generator().manual_seed(seed)
    axis = torch.arange(side, dtype=torch.float64)
    positions = torch.cartesian_prod(axis, axis, axis) + 0.2 * torch.rand(side**3, 3, generator=generator)
    types = torch.randint(2, (side**3,), generator=generator)
    return bf.build_graph(positions.numpy(), types.numpy(), [float(side)] * 3, cutoff=2.0)
