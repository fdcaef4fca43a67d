"""Packed weights as an operator. What they hold, and that they are used, is tested in tests/cuda_host."""

import torch

from botan_fast import ops
from botan_fast.ops import packing


def test_opcheck():
    """On a CPU there is nothing to pack; the operators take what is given, and tracers see it."""
    weights = [torch.randn(32, 3), torch.randn(32), torch.randn(32, 32), torch.randn(32)]
    torch.library.opcheck(torch.ops.botan_fast.pack, (weights, [4], True, 0))
    buffer = torch.ops.botan_fast.pack(weights, [4], True, 0)[0]
    assert len(buffer) == 0
    leaves = [torch.randn(7, 3, requires_grad=True), *(w.clone().requires_grad_() for w in weights)]
    torch.library.opcheck(torch.ops.botan_fast.mlp, (leaves[0], leaves[1:], 0, buffer))
    torch.testing.assert_close(ops.mlp(leaves[0], leaves[1:], "fp32", buffer), ops.mlp(leaves[0], leaves[1:]))


def test_a_cpu_packs_nothing():
    parts = {"encoder": [torch.ones(32, 3), torch.ones(32), torch.ones(32, 32), torch.ones(32)]}
    assert not packing.packs_weights(torch.device("cpu"))
    assert ops.pack_weights(parts) == {}
