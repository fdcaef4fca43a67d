"""Benchmarks of gpu_check.py: neighbour lists and targets, beside vesin, nvalchemi-toolkit-ops and plain torch.

Only botan_fast's lists are ordered and have row pointers and opposite edges; of the others the pairs are compared.
"""

import importlib.util

CUTOFF, DENSITY = 2.0, 1.2


def positions_of(number, seed=0):
    """(positions on the device, box length): uniform points at the density of the Kob-Andersen mixture."""
    import torch

    length = (number / DENSITY) ** (1 / 3)
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(number, 3, dtype=torch.float64, generator=generator) * length).cuda(), length


def output_bytes(graph):
    return sum(getattr(graph, name).nbytes for name in ("senders", "receivers", "vectors", "reverse", "row_ptr"))


def same_pairs(i, j, graph):
    """The pairs in any order are those of the graph."""
    import torch

    number = graph.num_nodes
    found = (i.long() * number + j.long()).sort()[0]
    assert torch.equal(found, graph.receivers.long() * number + graph.senders.long())


def ours(number, batch=1):
    """The list into memory of a given capacity, which waits for nothing."""
    import torch

    import botan_fast as bf

    parts = [positions_of(number, seed) for seed in range(batch)]
    positions, length = torch.cat([part for part, _ in parts]), parts[0][1]
    types = torch.zeros(len(positions), dtype=torch.int64, device="cuda")
    graph_ptr = [number * g for g in range(batch + 1)]
    box = [length] * 3
    expected = bf.build_graph(positions.cpu(), types.cpu(), box, CUTOFF, graph_ptr=graph_ptr)

    def run():
        return bf.build_graph(positions, types, box, CUTOFF, graph_ptr=graph_ptr, capacity=expected.num_edges)

    def check(graph=None):
        graph = (graph or run()).check()
        for name in ("senders", "receivers", "vectors", "reverse", "row_ptr"):
            assert torch.equal(getattr(graph, name).cpu(), getattr(expected, name)), name

    return run, positions.nbytes + output_bytes(expected), check


def captured(number, batch=1):
    """The same as one CUDA graph: the kernels without the time that Python takes to start them."""
    import torch

    run, num_bytes, check = ours(number, batch)
    check()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = run()
    return graph.replay, num_bytes, lambda: check(out)


def peer(number, make_list):
    """make_list(positions, box matrix) returns a function that gives i, j."""
    import torch

    import botan_fast as bf

    positions, length = positions_of(number)
    graph = bf.build_graph(positions, torch.zeros(number, dtype=torch.int64, device="cuda"), [length] * 3, CUTOFF)
    run = make_list(positions, torch.eye(3, dtype=torch.float64, device="cuda") * length)
    return run, positions.nbytes + output_bytes(graph), lambda: same_pairs(*run()[:2], graph)


def vesin_list(positions, cell):
    from vesin.torch import NeighborList

    lists = NeighborList(cutoff=CUTOFF, full_list=True)
    return lambda: lists.compute(positions, cell, True, "ijD")


def nvalchemi_list(positions, cell):
    import torch
    from nvalchemiops.torch.neighbors import neighbor_list

    periodic = torch.ones(1, 3, dtype=torch.bool, device="cuda")
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


def targets(on_device):
    import numpy as np
    import torch

    import botan_fast as bf

    positions, length = positions_of(4096)
    runs = positions + 0.3 * torch.randn(32, 4096, 3, dtype=torch.float64, device="cuda")
    host = positions.cpu().numpy(), runs.cpu().numpy()
    graph = bf.build_graph(positions, np.zeros(4096, int), [length] * 3, CUTOFF)
    expected = bf.isoconfigurational_targets(*host, graph.to("cpu"))

    def run():
        return bf.isoconfigurational_targets(positions, runs if on_device else host[1], graph)

    def check():
        assert torch.equal(run().pair_change.cpu(), expected.pair_change)

    return run, runs.nbytes + graph.vectors.nbytes + expected.pair_change.nbytes, check


def register(benchmark):
    """Adds them all; a peer that is not installed is left out."""
    for number in (512, 4096, 32_768, 1_048_576):
        benchmark(f"build_graph N={number}")(lambda number=number: ours(number))
        benchmark(f"build_graph N={number}, CUDA graph")(lambda number=number: captured(number))
    benchmark("build_graph 64 x 4096")(lambda: ours(4096, 64))
    benchmark("build_graph 64 x 4096, CUDA graph")(lambda: captured(4096, 64))
    benchmark("build_graph N=10000000")(lambda: ours(10_000_000))
    peers = {"vesin": ("vesin", vesin_list), "nvalchemi": ("nvalchemiops", nvalchemi_list)}
    for name, (module, make_list) in peers.items():
        if importlib.util.find_spec(module) and (name != "vesin" or importlib.util.find_spec("vesin.torch")):
            for number in (4096, 1_048_576):
                benchmark(f"{name} N={number}")(lambda number=number, make=make_list: peer(number, make))
    benchmark("torch N x N, N=4096")(lambda: peer(4096, torch_list))
    benchmark("targets N=4096, 32 runs on the device")(lambda: targets(True))
    benchmark("targets N=4096, 32 runs streamed")(lambda: targets(False))
