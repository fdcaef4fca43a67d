"""What the tests on a GPU share: an input, and how far each precision may be from float64 (relative L2)."""

import torch

import botan_fast as bf
from tests.helpers.processor_case import open_or_closed

OUTPUT = {"fp32": 1e-5, "tf32": 2e-3, "bf16": 2e-2}
# Random weights and inputs of size one: rounding carries ReLUs across their kink (docs/precision.md). In fp32 inputs
# are chosen clear of kinks (`processor_case`); gradients of a whole model there are sums of terms that nearly cancel.
GRADIENT = {"fp32": 1e-5, "tf32": 5e-2, "bf16": 0.25}
MODEL_GRADIENT = {**GRADIENT, "fp32": 1e-4}


def clear_model(precision, **options):
    """A model for crystals; in fp32 one whose ReLUs keep clear of their kink."""
    torch.manual_seed(0)
    model = bf.BOTAN(**options)
    if precision == "fp32":
        open_or_closed(p for name, p in model.named_parameters() if "fc3" not in name)
        with torch.no_grad():
            model.processor.node_mlp.fc1.weight[:, 2 * model.config["hidden_size"] :] /= 32
    return model


def crystal(side=16, seed=0):
    """A disturbed cubic crystal: 4096 particles, about 32 neighbours each."""
    generator = torch.Generator().manual_seed(seed)
    axis = torch.arange(side, dtype=torch.float64)
    positions = torch.cartesian_prod(axis, axis, axis) + 0.2 * torch.rand(side**3, 3, generator=generator)
    types = torch.randint(2, (side**3,), generator=generator)
    return bf.build_graph(positions.numpy(), types.numpy(), [float(side)] * 3, cutoff=2.0)
