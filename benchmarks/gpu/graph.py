"""Benchmarks on a GPU: neighbour lists and targets, beside vesin, nvalchemi-toolkit-ops and plain torch.

Only botan_fast's lists are ordered and have row pointers and opposite edges; of the others the pairs are compared.
"""

import importlib.util
from functools import partial

import numpy as np
import torch

import botan_fast as bf
from benchmarks.gpu.runner import Benchmarks, Prepared
from benchmarks.inputs import CUTOFF
from botan_fast.physics.kob_andersen import DENSITY


def positions_of(number, device, seed=0):
    """(positions on the device, box length): uniform points at the density of the Kob-Andersen mixture."""
    length = (number / DENSITY) ** (1 / 3)
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(number, 3, dtype=torch.float64, generator=generator) * length).to(device), length


def output_bytes(graph):
    return sum(getattr(graph, name).nbytes for name in ("senders", "receivers", "vectors", "reverse", "row_ptr"))


def same_pairs(i, j, graph):
    """The pairs in any order are those of the graph."""
    number = graph.num_nodes
    found = (i.long() * number + j.long()).sort()[0]
    assert torch.equal(found, graph.receivers.long() * number + graph.senders.long())


def ours(number, batch, captured, machine):
    """The list into memory of a given capacity, which waits for nothing.

    As one CUDA graph (captured) it is the kernels without the time that Python takes to start them.
    """
    parts = [positions_of(number, machine.device, seed) for seed in range(batch)]
    positions, length = torch.cat([part for part, _ in parts]), parts[0][1]
    types = torch.zeros(len(positions), dtype=torch.int64, device=machine.device)
    graph_ptr = [number * g for g in range(batch + 1)]
    box = [length] * 3
    expected = bf.build_graph(positions.cpu(), types.cpu(), box, CUTOFF, graph_ptr=graph_ptr)

    def run():
        return bf.build_graph(positions, types, box, CUTOFF, graph_ptr=graph_ptr, capacity=expected.num_edges)

    def check(graph):
        for name in ("senders", "receivers", "vectors", "reverse", "row_ptr"):
            assert torch.equal(getattr(graph.check(), name).cpu(), getattr(expected, name)), name

    num_bytes = positions.nbytes + output_bytes(expected)
    if not captured:
        return Prepared(run, lambda: check(run()), num_bytes)
    check(run())
    replay, out = machine.capture(run)

    def check_replay():
        replay()
        check(out)

    return Prepared(replay, check_replay, num_bytes)


def peer(number, make_list, machine):
    """make_list(positions, box matrix) returns a function that gives i, j."""
    positions, length = positions_of(number, machine.device)
    types = torch.zeros(number, dtype=torch.int64, device=machine.device)
    graph = bf.build_graph(positions, types, [length] * 3, CUTOFF)
    run = make_list(positions, torch.eye(3, dtype=torch.float64, device=machine.device) * length)
    return Prepared(run, lambda: same_pairs(*run()[:2], graph), positions.nbytes + output_bytes(graph))


def vesin_list(positions, cell):
    from vesin_torch import NeighborList

    lists = NeighborList(cutoff=CUTOFF, full_list=True)
    return lambda: lists.compute(positions, cell, True, "ijD")


def nvalchemi_list(positions, cell):
    from nvalchemiops.torch.neighbors import neighbor_list

    periodic = torch.ones(1, 3, dtype=torch.bool, device=positions.device)
    # Room for every particle's neighbours; the default of the library may overflow.
    options = {"return_neighbor_list": True, "max_neighbors": 128}
    return lambda: neighbor_list(positions, CUTOFF, cell=cell[None], pbc=periodic, **options)[0]


def torch_list(positions, cell):
    """All distances at once, as the authors do: N x N memory."""
    length = cell.diagonal()

    def run():
        vectors = positions[:, None] - positions[None]
        vectors -= length * (vectors / length).round()
        squared = (vectors * vectors).sum(-1)
        return ((squared < CUTOFF**2) & (squared > 0)).nonzero().unbind(1)

    return run


def targets(number, on_device, machine):
    positions, length = positions_of(number, machine.device)
    runs = positions + 0.3 * torch.randn(32, number, 3, dtype=torch.float64, device=machine.device)
    host = positions.cpu().numpy(), runs.cpu().numpy()
    graph = bf.build_graph(positions, np.zeros(number, int), [length] * 3, CUTOFF)
    expected = bf.isoconfigurational_targets(*host, graph.to("cpu"))

    def run():
        return bf.isoconfigurational_targets(positions, runs if on_device else host[1], graph)

    def check():
        assert torch.equal(run().pair_change.cpu(), expected.pair_change)

    return Prepared(run, check, runs.nbytes + graph.vectors.nbytes + expected.pair_change.nbytes)


def benchmarks(sizes=(512, 4096, 32_768, 1_048_576), batch=64, largest=10_000_000) -> Benchmarks:
    """All of them by name; a peer that is not installed is left out. Batches and matrices are of the second size."""
    found: Benchmarks = {}
    medium = sizes[1]
    for name, number, count in [*((f"N={n}", n, 1) for n in sizes), (f"{batch} x {medium}", medium, batch)]:
        for captured in (False, True):
            manner = ", CUDA graph" if captured else ""
            found[f"build_graph {name}{manner}"] = partial(ours, number, count, captured)
    found[f"build_graph N={largest}"] = partial(ours, largest, 1, False)
    peers = {"vesin": ("vesin_torch", vesin_list), "nvalchemi": ("nvalchemiops", nvalchemi_list)}
    for name, (module, make_list) in peers.items():
        if importlib.util.find_spec(module):
            for number in (medium, sizes[-1]):
                found[f"{name} N={number}"] = partial(peer, number, make_list)
    found[f"torch N x N, N={medium}"] = partial(peer, medium, torch_list)
    found[f"targets N={medium}, 32 runs on the device"] = partial(targets, medium, True)
    found[f"targets N={medium}, 32 runs streamed"] = partial(targets, medium, False)
    return found
