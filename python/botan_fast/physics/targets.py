"""Isoconfigurational targets: what the model learns of the motion of particles and of pairs."""

from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import torch

from .. import _core
from ..arrays import Array, as_tensor, current_stream
from ..box import check_box, reduce_cell
from ..checks import as_array, check_finite, check_offsets, check_range, positive
from ..device import empty, kernels_for
from ..errors import InputError
from ..graph.build import build_graph
from ..graph.graph import Graph
from ..graph.images import edge_vectors
from ..graph.inputs import check_positions
from ..quantities import NODE_TARGETS, check_which
from . import targets_cuda

__all__ = ["Targets", "isoconfigurational_targets", "local_displacement_field"]


_MISMATCH = 1e-4  # of lengths in a graph and of positions, as kMismatch in csrc/cpu/geometry/mismatch.h


@dataclass(frozen=True, eq=False)
class Targets:
    """What the model learns; tensors on the device of the graph. Lengths are in the unit of the positions.

    ==========================  ===  ============  =============================================================
    propensity                  S    (N,) float32  displacement
    pair_change                 E    (E,) float32  change of the pair distance in the edge order of the graph, both
                                                   directions of a pair equal bit for bit, 0 on self edges; None
                                                   where the data hold ready-made node targets alone
    num_runs                                       size of the ensemble; 0 where the data do not tell
    strain_relative_propensity  R    (N,) float32  displacement relative to the uniform strain around, or None
    relative_propensity         C    (N,) float32  displacement relative to the neighbours, or None
    nonaffine_displacement      D    (N,) float32  residual of the affine fit to the motion of the neighbours, or None
    local_strain                G    (N,) float32  von Mises strain of that fit (dimensionless), or None
    local_displacement          L    (N,) float32  length of the local displacement field, or None
    ==========================  ===  ============  =============================================================

    The equations are those of `isoconfigurational_targets`.

    >>> import torch
    >>> import botan_fast as bf
    >>> targets = bf.Targets(torch.tensor([0.25]), torch.empty(0), num_runs=1)
    >>> targets.node("S").tolist()
    [0.25]
    """

    propensity: torch.Tensor
    pair_change: torch.Tensor | None
    num_runs: int
    relative_propensity: torch.Tensor | None = None
    nonaffine_displacement: torch.Tensor | None = None
    local_strain: torch.Tensor | None = None
    local_displacement: torch.Tensor | None = None
    strain_relative_propensity: torch.Tensor | None = None

    def node(self, name: str) -> torch.Tensor:
        """The node target `name`: a letter S, R, C, D, G or L, or the name of the field. Shape (N,), float32.

        Raises `InputError` for another name, and for a target that was not computed.
        """
        field = NODE_TARGETS.get(name, name)
        if field not in NODE_TARGETS.values():
            raise InputError(f"node target {name!r} is unknown; give one of {', '.join(NODE_TARGETS)}")
        value = getattr(self, field)
        if value is None:
            letter = next(key for key, known in NODE_TARGETS.items() if known == field)
            wanted = "D" if letter == "G" else letter
            raise InputError(
                f"node target {name!r} was not computed; give which='SE{wanted}' to isoconfigurational_targets"
            )
        return value

    def to(self, device: torch.device | str) -> "Targets":
        """The same targets on `device`."""
        moved: dict[str, Any] = {
            key: value.to(device) if isinstance(value, torch.Tensor) else value for key, value in vars(self).items()
        }
        return Targets(**moved)


def isoconfigurational_targets(
    initial_positions: Array,
    trajectories: Array,
    graph: Graph,
    which: Iterable[str] = ("S", "E"),
    *,
    radius: float = 1.35,
    strain_radius: float = 1.6,
    reference: Array | None = None,
) -> Targets:
    """Averages < > over R runs that start from one configuration with different velocities.

    With the displacement u_i = r_i(t) - r_i(0)::

        S_i  = < |u_i| >                             (the propensity)
        E_ij = < |r_ij(t)| - |r_ij(0)| >             (r_ij by minimum image)
        R_i  = < |1/n sum_j (w_j - J d_j)| >         (relative to the uniform local strain, the paper's R_i)
        C_i  = < |u_i - U_i| >                       (relative to the neighbours: the cage-relative displacement)
        L_i  = < |U_i| >,  U_i = 1/n sum_j u_j       (local displacement field; j: |r_ij(0)| < radius)
        D_i  = < sqrt(D2_i / n) >,  D2_i = min_J sum_j |w_j - J d_j|^2     (non-affine displacement)
        G_i  = < sqrt(tr(dev(g)^2) / 2) >,  g = (J + J^T + J^T J) / 2      (local strain)

    where d_j = r_j(0) - r_i(0) (minimum image), w_j = u_j - u_i, and the sums of R_i and D2_i go over the n neighbours
    with |d_j| < strain_radius. J is the displacement gradient that minimises D2_i; g is the Green-Lagrange strain of
    the deformation 1 + J, dev(g) = g - tr(g) / D its deviator. All are invariant under rotations and reflections of
    everything; R, C, D, G and E do not change when each run is translated as a whole. R and D do not change either when
    a uniform strain is added to the motion; C does. With J = 0 and one radius for both, R would be C.

    D2_i is the quantity D^2_min of Falk and Langer, their sum over neighbours. D_i is the root of its mean over
    neighbours: a length like S_i and R_i, so the same loss and learning rate serve all of them, and independent of
    the number of neighbours. The root, and the length of R_i, are taken in each run, before the average.

    Neighbourhoods that do not determine the answer never give NaN. Where the bonds d_j span fewer than D dimensions,
    J is the fit of minimum norm (pseudo-inverse; directions whose squared singular value is below 1e-6 of the
    largest count as not spanned). Without a neighbour R_i = D_i = G_i = 0, and U_i = u_i, hence C_i = 0.

    Parameters
    ----------
    initial_positions : (N, D) float, the positions that the graph was built from.
    trajectories : (R, N, D) float32 or float64, positions of each run at time t, unwrapped: particles that left the
        box have not been put back. Displacements are taken as they are.
    graph : the `Graph` of the initial positions (one graph, not a batch). Its box gives the minimum image.
    which : letters of the targets to compute, any of S, E, R, C, D, L. S and E always come along; D brings G.
    radius : neighbours of C and L, in the unit of the positions, at most graph.cutoff. The default 1.35 is about the
        first minimum of g_AA(r) of the Kob-Andersen mixture, the bound of the paper's A-A pairs: the cage.
    strain_radius : neighbours of R, D and G, at most graph.cutoff. The default 1.6 takes some twenty neighbours at
        density 1.2, enough to determine the nine numbers of J.
    reference : (N, D) float, the positions r(0) at which the runs start, where the graph was built from others, such as
        those of the inherent structure. The edges are the graph's; everything else is of `reference`: u_i, the
        distances |r_ij(0)| (minimum image), and the neighbours of R, C, D, G and L.

    Returns `Targets`. Sums are in float64 in the order of the runs, O(R (N + E)) time and no N x N array. On the CPU
    there are ``torch.get_num_threads()`` threads. For a graph on a GPU, S and E are computed there with the same bits:
    from CUDA tensors or CuPy arrays in place, from host arrays (NumPy, also memory-mapped) in parts, so that the runs
    may be larger than the memory of the GPU. R, C, D, G and L take the way through the CPU and its memory.

    Raises `InputError` for R = 0, shapes that do not match, NaN or infinite positions, a batch of graphs, a graph
    without a box, a graph of other positions than initial_positions (a distance differs by more than 1e-4), an unknown
    letter, and a radius that is not positive or beyond the cutoff of the graph.

    Sources: S, E and R, Shiba et al., J. Chem. Phys. 158, 084503 (2023), Sec. II. C, cage-relative displacement:
    Mazoyer et al., Europhys. Lett. 88, 66004 (2009); Vivek et al., PNAS 114, 1850 (2017); Illing et al., PNAS 114, 1856
    (2017). D: Falk and Langer, Phys. Rev. E 57, 7192 (1998), Eqs. (2.11)-(2.14). G: Shimizu, Ogata and Li, Mater.
    Trans. 48, 2923 (2007).

    >>> import numpy as np
    >>> import botan_fast as bf
    >>> start = np.array([[0.5, 0.0], [1.5, 0.0]])
    >>> graph = bf.build_graph(start, [0, 0], box=[4.0, 4.0])
    >>> moved = start + [[0.0, 0.0], [0.25, 0.0]]
    >>> targets = bf.isoconfigurational_targets(start, moved[None], graph, which="SECD")
    >>> targets.propensity.tolist(), targets.pair_change.tolist()
    ([0.0, 0.25], [0.25, 0.25])
    >>> targets.node("C").tolist(), targets.node("D").tolist()
    ([0.25, 0.25], [0.0, 0.0])
    """
    chosen = check_which(which)
    around = graph  # whose edges are the neighbours of the local targets
    if reference is not None:
        initial_positions, graph, around = _at_reference(initial_positions, reference, graph, chosen)
    with current_stream(trajectories):
        kernels = kernels_for(graph.device) if isinstance(graph, Graph) else None
        local = chosen & set("RCDL")
        if local or kernels is None:
            # S is finite exactly where the runs are: without local targets it tells, and nobody reads the runs twice.
            initial, runs = _check_runs(initial_positions, trajectories, graph, finite=bool(local))
        if kernels is not None:
            propensity, pair_change = _targets_on_device(kernels, initial_positions, trajectories, graph)
        else:
            propensity, pair_change = _targets(initial, runs, graph)
        fields: dict[str, Any] = {}
        if local:
            letters = [letter for letter in "RCLDG" if letter in chosen or (letter == "G" and "D" in chosen)]
            fields = {NODE_TARGETS[letter]: empty(graph.num_nodes) for letter in letters}
            _local_targets(initial, runs, around, radius, strain_radius, fields)
        return Targets(propensity, pair_change, len(trajectories), **fields).to(graph.device)


def _at_reference(
    initial_positions: Array, reference: Array, graph: Graph, chosen: set[str]
) -> tuple[np.ndarray, Graph, Graph]:
    """The reference positions, the graph with the vectors of its edges there, and the graph of the neighbours there."""
    _check_graph(graph)
    start = check_positions(reference, "reference")
    vectors = edge_vectors(graph, start, "reference")
    lengths = np.linalg.norm(edge_vectors(graph, initial_positions, "initial_positions"), axis=1)
    in_graph = graph.vectors.detach().double().norm(dim=1).cpu().numpy()
    wrong = ~(np.abs(lengths - in_graph) < _MISMATCH)
    if wrong.any():
        k = int(wrong.argmax())
        raise InputError(
            f"initial_positions do not belong to graph: edge {k} has length {lengths[k]:.6g}, in the graph "
            f"{in_graph[k]:.6g}; give the positions that the graph was built from, and those of the runs as reference"
        )
    at_reference = graph.replace(vectors=torch.from_numpy(vectors).to(graph.vectors))
    around = at_reference
    if chosen & set("RCDL"):
        around = build_graph(start, graph.types.cpu(), graph.box, graph.cutoff, graph.self_edges)
    return start, at_reference, around


def _targets(initial: np.ndarray, runs: np.ndarray, graph: Graph) -> tuple[torch.Tensor, torch.Tensor]:
    """Propensity and pair change on the CPU, of what `_check_runs` returns."""
    propensity = empty(graph.num_nodes)
    pair_change = empty(graph.num_edges)
    cell = reduce_cell(check_box(graph.box, initial.shape[1])[1])
    tensors = _on_host(graph, "senders", "row_ptr", "reverse", "vectors")
    _call(
        "isoconfigurational_targets", runs, initial.ctypes.data, runs.ctypes.data, runs.shape[0], *initial.shape,
        cell.ctypes.data, *(x.data_ptr() for x in tensors), propensity.data_ptr(), pair_change.data_ptr(),
        torch.get_num_threads(),
    )  # fmt: skip
    if not np.isfinite(propensity.numpy()).all():
        check_finite("trajectories", runs)
    return propensity, pair_change


def _targets_on_device(
    kernels: ModuleType, initial_positions: Array, trajectories: Array, graph: Graph, **options: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """Propensity and pair change by `kernels`, on the device of the graph."""
    _check_graph(graph)
    device, dimensions = graph.device, graph.vectors.shape[1]
    initial, runs = as_tensor(initial_positions), as_tensor(trajectories)
    if not isinstance(initial, torch.Tensor):
        initial = torch.from_numpy(check_positions(initial, "initial_positions"))
    if not isinstance(runs, (torch.Tensor, np.ndarray)):
        runs = as_array("trajectories", runs)
    _check_shapes(initial, runs, graph)
    initial = initial.detach().to(device, torch.float64).contiguous()
    if isinstance(runs, torch.Tensor):
        runs = runs.detach() if runs.dtype == torch.float32 else runs.detach().to(torch.float64)
        runs = runs if runs.device == device else runs.cpu()  # another device: by way of the host
    elif runs.dtype.kind not in "fiub":
        as_array("trajectories", runs)  # refuses them
    cell = reduce_cell(check_box(graph.box, dimensions)[1])
    propensity, pair_change, status = targets_cuda.propensity_and_change(kernels, initial, runs, graph, cell, **options)
    if any(status):  # the CPU names the place
        initial, one = _check_runs(initial, initial[None], graph)
        if status[0]:
            check_finite("trajectories", as_array("trajectories", trajectories))
        _targets(initial, one, graph)
    return propensity, pair_change


def local_displacement_field(
    initial_positions: Array, trajectories: Array, graph: Graph, radius: float = 1.35
) -> torch.Tensor:
    """The local displacement field U_i of each run: displacements averaged over the neighbours at time 0::

        U_i = 1/n sum_j u_j,   u_j = r_j(t) - r_j(0),   over the n particles j with 0 < |r_ij(0)| < radius

    Returns (R, N, D) float32 on the device of the graph: `field.mean(0)` is the isoconfigurational average as a
    vector, `field.norm(dim=-1).mean(0)` is L_i of `isoconfigurational_targets`. Particle i itself is not part of the
    average, so u_i = U_i + (u_i - U_i) splits a displacement into that of the surroundings and the relative one,
    whose mean length is C_i. A particle without a neighbour has U_i = u_i.

    Parameters, determinism and errors as in `isoconfigurational_targets`.

    >>> import numpy as np
    >>> import botan_fast as bf
    >>> start = np.array([[0.5, 0.0], [1.5, 0.0]])
    >>> graph = bf.build_graph(start, [0, 0], box=[4.0, 4.0])
    >>> moved = start + [[0.0, 0.0], [0.25, 0.5]]
    >>> bf.local_displacement_field(start, moved[None], graph).tolist()
    [[[0.25, 0.5], [0.0, 0.0]]]
    """
    initial, runs = _check_runs(initial_positions, trajectories, graph)
    field = empty(*runs.shape)
    _local_targets(initial, runs, graph, radius, radius, {"local_field": field})
    return field.to(graph.device)


def _check_graph(graph: Graph) -> None:
    if not isinstance(graph, Graph):
        raise InputError(f"graph is a {type(graph).__name__}; give the Graph that build_graph returns")
    if graph.num_graphs != 1:
        raise InputError(f"graph is a batch of {graph.num_graphs} graphs; compute the targets of each before batching")
    if graph.box is None:
        raise InputError("graph.box is None; build the graph with its periodic box")
    if graph.status is not None:
        raise InputError("graph has a capacity; build the graph of targets without one")


def _on_host(graph: Graph, *names: str) -> list[torch.Tensor]:
    """Tensors of the graph as the core reads them: indices int32 (`Graph` sees to that), vectors float32, dense.

    Refuses a graph whose arrays do not belong together: the core would follow them out of an array, or leave numbers
    of edges that no row names as they were.
    """
    index = {name: getattr(graph, name).cpu().contiguous() for name in ("senders", "receivers", "row_ptr", "reverse")}
    if not _core.are_edges_of_graph(
        *(x.data_ptr() for x in index.values()), graph.num_nodes, graph.num_edges, torch.get_num_threads()
    ):
        _refuse_edges(graph.num_nodes, graph.num_edges, **index)
    tensors = (getattr(graph, name).detach().cpu() for name in names)
    return [(x.to(torch.float32) if x.is_floating_point() else x).contiguous() for x in tensors]


def _refuse_edges(
    num_nodes: int, number: int, senders: torch.Tensor, receivers: torch.Tensor, row_ptr: torch.Tensor,
    reverse: torch.Tensor,
) -> None:  # fmt: skip
    """InputError that says what does not belong together; the core has found that something does not."""
    if check_offsets("graph.row_ptr", row_ptr, number) != number:
        raise InputError(f"graph.row_ptr ends with {int(row_ptr[-1])}, but graph has {number} edges; build it again")
    check_range("graph.senders", senders, num_nodes)
    check_range("graph.reverse", reverse, number)
    raise InputError("graph.reverse does not name the opposite edge of each; build the graph again")


def _check_shapes(initial: Array, runs: Array, graph: Graph) -> None:
    num_nodes, dimensions = graph.num_nodes, graph.vectors.shape[1]
    if tuple(initial.shape) != (num_nodes, dimensions):
        shape = tuple(initial.shape)
        raise InputError(f"initial_positions has shape {shape}; graph needs ({num_nodes}, {dimensions})")
    shape = tuple(runs.shape)
    if len(shape) != 3 or shape[1:] != (num_nodes, dimensions):
        raise InputError(f"trajectories has shape {shape}; graph needs (R, {num_nodes}, {dimensions})")
    if shape[0] == 0:
        raise InputError(f"trajectories has shape {shape}: no run; give at least one")


def _check_runs(
    initial_positions: Array, trajectories: Array, graph: Graph, finite: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """(N, D) float64 and (R, N, D) float32 or float64, checked against the graph, with `finite` the runs for NaN."""
    _check_graph(graph)
    initial = check_positions(initial_positions, "initial_positions")
    runs = as_array("trajectories", trajectories)
    if runs.dtype != np.float32:
        runs = as_array("trajectories", runs, np.float64)
    _check_shapes(initial, runs, graph)
    if finite:
        check_finite("trajectories", runs)
    return initial, runs


def _check_radius(name: str, value: Any, graph: Graph) -> float:
    radius = positive(name, value)
    if radius > graph.cutoff:
        raise InputError(
            f"{name} = {radius} is larger than the cutoff of graph, {graph.cutoff}; "
            "build the graph with a larger cutoff or give a smaller radius"
        )
    return radius


def _local_targets(
    initial: np.ndarray,
    runs: np.ndarray,
    graph: Graph,
    radius: float,
    strain_radius: float,
    outputs: dict[str, torch.Tensor],
) -> None:
    """Fills the tensors in `outputs`, named as the fields of the struct LocalTargets."""
    radius = _check_radius("radius", radius, graph)
    strain_radius = _check_radius("strain_radius", strain_radius, graph)
    cell = np.ascontiguousarray(check_box(graph.box, initial.shape[1])[1])
    tensors = _on_host(graph, "senders", "row_ptr", "vectors")
    names = (
        "relative_propensity", "local_displacement", "strain_relative_propensity", "nonaffine_displacement",
        "local_strain", "local_field",
    )  # fmt: skip
    _call(
        "local_targets", runs, initial.ctypes.data, runs.ctypes.data, runs.shape[0], *initial.shape, cell.ctypes.data,
        *(x.data_ptr() for x in tensors), radius, strain_radius,
        *(outputs[name].data_ptr() if name in outputs else 0 for name in names), torch.get_num_threads(),
    )  # fmt: skip


def _call(name: str, runs: np.ndarray, *arguments: Any) -> None:
    """The compiled function for the dtype of `runs`; what it refuses is bad input."""
    try:
        getattr(_core, f"{name}_{'f32' if runs.dtype == np.float32 else 'f64'}")(*arguments)
    except ValueError as error:
        raise InputError(str(error)) from None
