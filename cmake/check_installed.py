"""Runs what is installed, on a small configuration: the test of a wheel or package, from anywhere, in seconds.

    python cmake/check_installed.py [--cuda]

Plans and data that come along; a graph and one gradient, of the layer also by its definition in plain torch. Ends
with status 1 where they differ or are missing, and with --cuda where the core has no CUDA kernels; no GPU is needed.
"""

import argparse
import sys
from collections.abc import Sequence

import numpy as np
import torch

import botan_fast as bf
from botan_fast.sweep.expansion import expand
from botan_fast.sweep.plan import read_plan, shipped_plans


def main(arguments: Sequence[str] = ()) -> int:
    parser = argparse.ArgumentParser(description="Runs what is installed.")
    parser.add_argument("--cuda", action="store_true", help="it must have CUDA kernels")
    if parser.parse_args(arguments).cuda and not bf.build_info()["cuda"]:
        print(f"no CUDA kernels in {bf.__file__}: {bf.build_info()['cuda_absent']}", file=sys.stderr)
        return 1
    for plan in ("paper", "quick"):  # the latter names data that come along
        if plan not in shipped_plans() or not expand(read_plan(plan), "sweep"):
            print(f"the installation lacks the plan {plan}", file=sys.stderr)
            return 1
    rng = np.random.default_rng(0)
    positions, box = 6.0 * rng.random((300, 3)), np.full(3, 6.0)
    types = rng.integers(0, 2, 300)
    graph = bf.build_graph(positions, types, box, cutoff=2.0)
    apart = positions[:, None] - positions
    distances = np.linalg.norm(apart - box * np.round(apart / box), axis=2)
    expected = np.count_nonzero((distances > 0) & (distances < 2.0))
    torch.manual_seed(0)
    layer = bf.BOTANLayer(hidden_size=32)
    wide = layer.double()(*inputs(graph, torch.float64), graph.edge_index)  # float64 is plain torch
    narrow = layer.float()(*inputs(graph, torch.float32), graph.edge_index)
    error = max((a.double() - b).abs().max().item() for a, b in zip(narrow, wide, strict=True))
    narrow[0].sum().backward()
    slope = layer.edge_mlp.fc1.weight.grad.abs().sum().item()
    print(f"botan_fast {bf.__version__}, {bf.build_info()['simd']}: {graph.num_edges} edges, error {error:.1e}")
    good = graph.num_edges == expected and error < 1e-4 and np.isfinite(slope) and slope > 0
    if not good:
        print(f"wrong: {expected} edges were expected, the error is {error:g}, the gradient {slope:g}", file=sys.stderr)
    return 0 if good else 1


def inputs(graph: bf.Graph, dtype: torch.dtype) -> tuple[torch.Tensor, ...]:
    """x, e, x0, e0 of a layer, the same numbers in every dtype."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(graph.num_nodes, 32, generator=generator)
    e = torch.randn(graph.num_edges, 32, generator=generator)
    return tuple(tensor.to(dtype) for tensor in (x, e, x, e))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
