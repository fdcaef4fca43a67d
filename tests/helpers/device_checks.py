"""What the tests on a GPU share: an input, and how far each precision may be from float64 (relative L2)."""

import torch

import botan_fast as bf
from tests.helpers.random_graphs import cosine, relative_l2

OUTPUT = {"fp32": 1e-5, "tf32": 2e-3, "bf16": 2e-2}
# Random weights and inputs of size one: rounding carries ReLUs across their kink (docs/precision.md). In fp32 some of
# them move the gradient of an edge array by 1e-3 (on the CPU too); the cosine tells a flipped ReLU from a wrong kernel.
# Where an input is clear of kinks (`processor_case.clear_case`), gradients keep the promise of outputs.
GRADIENT = {"fp32": 3e-3, "tf32": 5e-2, "bf16": 0.25}
GRADIENT_COSINE = {"fp32": 1e-5, "tf32": 2e-3, "bf16": 4e-2}  # one minus it


def assert_gradient(got, want, precision, clear=False):
    """Within the promise of the precision; `clear`: no ReLU of the input is at its kink."""
    error = relative_l2(got.cpu(), want)
    assert error < (OUTPUT if clear else GRADIENT)[precision]
    assert 1 - cosine(got.cpu(), want) < GRADIENT_COSINE[precision]


def crystal(side=16, seed=0):
    """A disturbed cubic crystal: 4096 particles, about 32 neighbours each."""
    generator = torch.Generator().manual_seed(seed)
    axis = torch.arange(side, dtype=torch.float64)
    positions = torch.cartesian_prod(axis, axis, axis) + 0.2 * torch.rand(side**3, 3, generator=generator)
    types = torch.randint(2, (side**3,), generator=generator)
    return bf.build_graph(positions.numpy(), types.numpy(), [float(side)] * 3, cutoff=2.0)
