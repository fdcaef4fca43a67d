"""What is written into a data set: configurations and their targets at several times."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..arrays import Array
from ..checks import as_array, check_finite
from ..errors import DataError, InputError
from ..files import check_name
from ..graph.build import build_graph
from ..graph.graph import Graph
from ..graph.pairs import pair_list, pair_values
from ..physics.inherent import InherentStructure
from ..physics.targets import Targets
from ..quantities import TARGETS
from .extras import checked_extras
from .schema import known_number

__all__ = ["Record", "TimeRecord", "checked_arrays"]


@dataclass
class TimeRecord:
    """The targets of a configuration at one time, averages over `num_runs` runs. Lengths in units of sigma_AA.

    time                 float, or None where nobody knows it
    num_runs             size of the isoconfigurational ensemble; 0: unknown
    propensity           (N,) S_i
    pair_change          (P,) E_ij of each undirected pair in the order of `botan_fast.graph.pairs.pair_list`, or None
    relative_propensity, nonaffine_displacement, local_strain, local_displacement, strain_relative_propensity
                         (N,) C_i, D_i, G_i, L_i and R_i of `isoconfigurational_targets`, or None
    bond_breaking        (N,) bond-breaking propensity, or None

    Examples
    --------
    >>> import numpy as np, botan_fast as bf
    >>> bf.TimeRecord(time=13.0, num_runs=32, propensity=np.zeros(100)).time
    13.0
    """

    time: float | None
    num_runs: int
    propensity: Array
    pair_change: Array | None = None
    relative_propensity: Array | None = None
    nonaffine_displacement: Array | None = None
    local_strain: Array | None = None
    local_displacement: Array | None = None
    bond_breaking: Array | None = None
    strain_relative_propensity: Array | None = None

    @classmethod
    def from_targets(cls, time: float | None, targets: Targets, graph: Graph) -> "TimeRecord":
        """The record of the `Targets` on a graph of the writer's cutoff."""
        arrays = {name: getattr(targets, name, None) for name in TARGETS}
        return cls(
            time,
            targets.num_runs,
            **{
                name: pair_values(graph, array) if TARGETS[name] == "pair" else array.cpu().numpy()
                for name, array in arrays.items()
                if array is not None
            },
        )


@dataclass
class Record:
    """One configuration and its targets at one or several times, as `DatasetWriter.add` takes it.

    name         unique among the configurations of its temperature
    positions    (N, D) float64, D = 2 or 3, kept bit for bit
    types        (N,) integers, 0 = A, 1 = B, ...
    box          float, (D,) or (D, D), see `build_graph`
    temperature  float in units of epsilon_AA / k_B, or None
    times        list of TimeRecord
    order        place in the data set; by default after all that are there
    species      names of types 0, 1, ... in the words of the source, ("Si", "Ge"), or None
    source       where the data came from, for the record
    energy       potential energy of the configuration per particle in units of epsilon_AA, or None
    inherent     what `inherent_structure` gave, or None
    arrays       other values of the configuration by name: (N,) or (N, k) of its particles, or one number; float64

    Examples
    --------
    >>> import numpy as np, botan_fast as bf
    >>> times = [bf.TimeRecord(time=t, num_runs=32, propensity=np.zeros(2)) for t in (1.3, 13.0)]
    >>> bf.Record("conf_1", [[0.0, 0, 0], [1.0, 0, 0]], [0, 1], 5.0, temperature=0.44, times=times).name
    'conf_1'
    """

    name: str
    positions: Array
    types: Array
    box: Array
    temperature: float | None = None
    times: list[TimeRecord] = field(default_factory=list)
    order: int | None = None
    source: str = ""
    species: tuple[str, ...] | None = None
    energy: float | None = None
    inherent: InherentStructure | None = None
    arrays: dict[str, Array] = field(default_factory=dict)


def checked_arrays(record: Record, cutoff: float) -> dict[str, Any]:
    """The arrays of a record in the dtypes of the file, checked."""
    if not isinstance(record.name, str) or not record.name:
        raise InputError(f"name = {record.name!r} must be a text that is not empty")
    try:
        check_name(record.name)
    except DataError as error:
        raise InputError(str(error)) from None
    known = [("temperature", record.temperature), ("energy", record.energy)]
    for name, value in [*known, *(("time", time.time) for time in record.times)]:
        if value is not None and not isinstance(value, (int, float, np.number)):
            raise InputError(f"{name} = {value!r} is not a number; give a number, or None where it is unknown")
    if record.energy is not None and not np.isfinite(record.energy):
        raise InputError(f"energy = {record.energy} is not finite; give None where it is unknown")
    if record.species is not None and not all(isinstance(name, str) and name for name in record.species):
        raise InputError(f"species = {record.species!r}; give the names of types 0, 1, ..., or None")
    positions = as_array("positions", record.positions, np.float64)
    graph = build_graph(positions, record.types, record.box, cutoff=cutoff)
    assert graph.box is not None  # the graph of one configuration has one box
    pairs = pair_list(graph)
    inherent, named = checked_extras(record.inherent, record.arrays, positions)
    lengths = {"particle": len(positions), "pair": pairs.shape[1]}
    if len({known_number(time.time) for time in record.times}) < len(record.times):
        raise InputError(f"times = {[time.time for time in record.times]} holds one time twice")
    targets = []
    for time in record.times:
        if not isinstance(time.num_runs, (int, np.integer)) or time.num_runs < 0:
            raise InputError(f"num_runs = {time.num_runs!r} must be a whole number, 0 where it is unknown")
        arrays = {}
        for name, per in TARGETS.items():
            if getattr(time, name) is None:
                continue
            array = as_array(name, getattr(time, name), np.float32)
            if array.shape != (lengths[per],):
                raise InputError(
                    f"{name} has shape {array.shape}; {lengths[per]} {per}s (cutoff = {cutoff}) need ({lengths[per]},)"
                )
            check_finite(name, array)
            arrays[name] = array
        targets.append(arrays)
    return {
        "positions": positions,
        "types": graph.types.numpy().astype(np.int32),
        "box": graph.box.numpy(),
        "pairs": pairs,
        "targets": targets,
        "inherent": inherent,
        "arrays": named,
    }
