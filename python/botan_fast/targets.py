"""Isoconfigurational targets: the propensity of particles and the distance change of pairs."""

from dataclasses import dataclass

import numpy as np
import torch

from . import _core
from .errors import InputError
from .graph import Graph, as_array, check_box, check_finite, check_positions

__all__ = ["Targets", "isoconfigurational_targets"]


@dataclass(frozen=True, eq=False)
class Targets:
    """What the model learns, in the length unit of the positions; tensors on the device of the graph.

    propensity (N,) float32: S_i. pair_change (E,) float32: E_ij in the edge order of the graph, both directions of
    a pair equal bit for bit, 0 on self edges. num_runs: the size of the ensemble.
    """

    propensity: torch.Tensor
    pair_change: torch.Tensor
    num_runs: int

    def to(self, device) -> "Targets":
        """The same targets on `device`."""
        return Targets(self.propensity.to(device), self.pair_change.to(device), self.num_runs)


def isoconfigurational_targets(initial_positions, trajectories, graph) -> Targets:
    """Averages over R runs that start from one configuration with different velocities::

        S_i  = < |r_i(t) - r_i(0)| >            (the propensity)
        E_ij = < |r_ij(t)| - |r_ij(0)| >        (r_ij by minimum image)

    Parameters
    ----------
    initial_positions : (N, D) float, the positions that the graph was built from.
    trajectories : (R, N, D) float32 or float64, positions of each run at time t, unwrapped: particles that left the
        box have not been put back. S_i takes the displacement as it is.
    graph : the `Graph` of the initial positions (one graph, not a batch). Its box gives the minimum image.

    Returns `Targets`. Sums are in float64 on the CPU with ``torch.get_num_threads()`` threads, O(R (N + E)) time and
    no N x N array; results do not depend on the number of threads. Both are invariant under rotations and
    reflections of everything.

    Raises `InputError` for R = 0, shapes that do not match, NaN or infinite positions, a batch of graphs, a graph
    without a box, and a graph of other positions (a distance differs by more than 1e-4).

    Source: Shiba et al., J. Chem. Phys. 158, 084503 (2023), Sec. II.

    >>> import numpy as np
    >>> import botan_fast as bf
    >>> start = np.array([[0.5, 0.0], [1.5, 0.0]])
    >>> graph = bf.build_graph(start, [0, 0], box=[4.0, 4.0])
    >>> moved = start + [[0.0, 0.0], [0.25, 0.0]]
    >>> targets = bf.isoconfigurational_targets(start, moved[None], graph)
    >>> targets.propensity.tolist(), targets.pair_change.tolist()
    ([0.0, 0.25], [0.25, 0.25])
    """
    if not isinstance(graph, Graph):
        raise InputError(f"graph is a {type(graph).__name__}; give the Graph that build_graph returns")
    if graph.num_graphs != 1:
        raise InputError(f"graph is a batch of {graph.num_graphs} graphs; compute the targets of each before batching")
    if graph.box is None:
        raise InputError("graph.box is None; build the graph with its periodic box")
    initial = check_positions(initial_positions, "initial_positions")
    num_nodes, dimensions = graph.num_nodes, graph.vectors.shape[1]
    if initial.shape != (num_nodes, dimensions):
        raise InputError(f"initial_positions has shape {initial.shape}; graph needs ({num_nodes}, {dimensions})")
    runs = as_array("trajectories", trajectories)
    if runs.dtype != np.float32:
        runs = as_array("trajectories", runs, np.float64)
    if runs.ndim != 3 or runs.shape[1:] != initial.shape:
        raise InputError(f"trajectories has shape {runs.shape}; graph needs (R, {num_nodes}, {dimensions})")
    if runs.shape[0] == 0:
        raise InputError(f"trajectories has shape {runs.shape}: no run; give at least one")
    check_finite("trajectories", runs)
    cell = reduce_cell(check_box(graph.box, dimensions)[1])

    tensors = [x.cpu().contiguous() for x in (graph.senders, graph.row_ptr, graph.reverse, graph.vectors)]
    propensity = torch.empty(num_nodes, dtype=torch.float32)
    pair_change = torch.empty(graph.num_edges, dtype=torch.float32)
    compute = _core.isoconfigurational_targets_f32 if runs.dtype == np.float32 else _core.isoconfigurational_targets_f64
    try:
        compute(
            initial.ctypes.data, runs.ctypes.data, runs.shape[0], num_nodes, dimensions, cell.ctypes.data,
            *(x.data_ptr() for x in tensors), propensity.data_ptr(), pair_change.data_ptr(), torch.get_num_threads(),
        )  # fmt: skip
    except ValueError as error:
        raise InputError(str(error)) from None
    return Targets(propensity, pair_change, runs.shape[0]).to(graph.device)


def reduce_cell(cell):
    """Minkowski-reduced row vectors of the same lattice: the shortest ones; a diagonal cell is returned as it is.

    Only in a reduced cell is the nearest image of a point always among the 3**D around the rounded one. At time t a
    pair may be farther apart than half of a tilted box, where the images compete. Greedy reduction: shorten the
    longest vector by the combination of the others nearest to it (Semaev 2001) until nothing gets shorter.
    """
    cell = np.array(cell, dtype=np.float64)
    dimensions = len(cell)
    if np.array_equal(cell, np.diag(np.diag(cell))):
        return cell
    while True:
        cell = cell[np.argsort((cell**2).sum(1), kind="stable")]
        if dimensions == 3:  # the two shorter ones first, then the longest against their lattice
            cell[:2] = reduce_cell_2d(cell[:2])
        others, longest = cell[:-1], cell[-1]
        nearest = np.rint(np.linalg.lstsq(others.T, longest, rcond=None)[0])
        steps = np.stack(np.meshgrid(*[[-1, 0, 1]] * (dimensions - 1)), -1).reshape(-1, dimensions - 1)
        candidates = longest - (nearest + steps) @ others
        best = candidates[np.argmin((candidates**2).sum(1))]
        if not (best**2).sum() < (longest**2).sum() * (1 - 1e-12):
            return np.ascontiguousarray(cell)
        cell[-1] = best


def reduce_cell_2d(pair):
    """Gauss reduction of two vectors in any dimension."""
    short, long = sorted(pair, key=lambda v: v @ v)
    while True:
        long = long - np.rint(short @ long / (short @ short)) * short
        if long @ long >= (short @ short) * (1 - 1e-12):
            return np.array([short, long])
        short, long = long, short
