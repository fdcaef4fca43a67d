"""What the benchmarks run on: a synthetic configuration, or a file of the authors' data."""

import os
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

import botan_fast as bf
from benchmarks.peers.authors import Inputs
from botan_fast.bench.synthetic import dense_liquid
from botan_fast.physics.kob_andersen import DENSITY

CUTOFF = 2.0


class Problem(NamedTuple):
    """One configuration in every form that somebody's code wants."""

    path: Path  # npz in the authors' format
    origin: str  # "synthetic" or "file"
    positions: np.ndarray  # (N, 3) float64
    types: np.ndarray  # (N,)
    final: np.ndarray  # (R, N, 3)
    length: float  # edge of the cubic box
    graph: bf.Graph
    targets: bf.Targets
    inputs: Inputs  # for the authors' sequence, edges by (sender, receiver)
    sorted_inputs: Inputs  # edges in the order of the graph, by (receiver, sender)


def inputs_of(graph: bf.Graph, targets: bf.Targets, by_sender: bool) -> Inputs:
    """Graph and targets of botan_fast in the authors' form, edges by (sender, receiver) or as they are."""
    order = graph.reverse.long() if by_sender else slice(None)
    edge_index = graph.edge_index
    # The opposite edge stands at `order`: exchanging the rows is the same as following it.
    return Inputs(
        types=graph.types.float()[:, None],
        vectors=graph.vectors[order],
        edge_index=edge_index[:, order].contiguous(),
        propensity=targets.propensity,
        pair_change=targets.pair_change[order],
    )


@lru_cache(maxsize=2)
def problem(number: int = 4096) -> Problem:
    """The configuration of `number` particles; 4096 come from BOTAN_FAST_DATA where it names a file or a folder."""
    path, origin = _real_file(number), "file"
    if path is None:
        path, origin = Path(_folder().name) / f"synthetic_{number}.npz", "synthetic"
        np.savez(path, **dense_liquid(number))
    with np.load(path) as file:
        types, positions, final = file["types"], file["initial_positions"], file["positions"]
    length = (len(types) / DENSITY) ** (1 / 3)
    graph = bf.build_graph(positions, types, np.full(3, length), cutoff=CUTOFF)
    targets = bf.isoconfigurational_targets(positions, final, graph)
    both = (inputs_of(graph, targets, by_sender) for by_sender in (True, False))
    return Problem(path, origin, positions, types, final, length, graph, targets, *both)


def model(decoders: str = "shared", seed: int = 0) -> bf.BOTAN:
    """BOTAN with torch's initial weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return bf.BOTAN(decoders=decoders)


@lru_cache(maxsize=1)
def _folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="botan_fast_benchmark_")


def _real_file(number: int) -> Path | None:
    """The first file in BOTAN_FAST_DATA (a file or a folder, searched through) with that many particles."""
    if not os.environ.get("BOTAN_FAST_DATA"):
        return None
    place = Path(os.environ["BOTAN_FAST_DATA"])
    files = [place] if place.is_file() else sorted(place.rglob("*.npz"))
    for file in files:
        with np.load(file) as arrays:
            if "initial_positions" in arrays and len(arrays["initial_positions"]) == number:
                return file
    if not files:
        raise FileNotFoundError(f"BOTAN_FAST_DATA = {place} holds no npz file; unset it for synthetic input")
    return None
