"""The local displacement field of a configuration, of the runs that its file holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..arrays import Array
from ..formats.reading import iterate
from ..graph.build import build_graph
from ..physics.targets import local_displacement_field
from ..quantities import FIRST_SHELL
from .loading import Data
from .sources import open_sources

__all__ = ["field_of"]


def field_of(data: Data, name: str, box: Array, time: float | None = None) -> np.ndarray | None:
    """The field U_i of Eq. (16), averaged over the runs: (N, D) float32; None where no file of `data` holds the runs.

    A data set keeps targets alone, and so does a `Sample`.

    Parameters
    ----------
    data : as for `load_samples`.
    name : of the configuration, as in `Sample.name`; only its file is read, where the names of files tell.
    box : its periodic box, (D,) or (D, D).
    time : of the runs, where a file holds several times.

    Raises
    ------
    DataError, InputError
        as `load_samples`.

    Source: Eq. (16) of Shiba et al., J. Chem. Phys. 158, 084503 (2023); `botan_fast.local_displacement_field`.

    >>> import numpy as np, tempfile
    >>> from botan_fast.data.field import field_of
    >>> folder = tempfile.TemporaryDirectory()
    >>> x = np.array([[0.5, 0.5, 1.0], [1.5, 0.5, 1.0]])
    >>> runs = x + [[[0, 0, 0], [0, 0.25, 0]]]
    >>> np.savez(folder.name + "/a.npz", types=[0, 0], initial_positions=x, positions=runs)
    >>> field_of(folder.name + "/*.npz", "a", [4.0, 4.0, 4.0]).tolist()
    [[0.0, 0.25, 0.0], [0.0, 0.0, 0.0]]
    """
    for source in open_sources(data, runs=True):
        if not isinstance(source, Path):
            continue
        for configuration in iterate(source, skip=lambda other: other != name):
            same = configuration.name == name and (time is None or configuration.time in (None, time))
            if same and configuration.trajectories is not None:
                graph = build_graph(configuration.positions, configuration.types, box, FIRST_SHELL)
                runs = local_displacement_field(configuration.positions, configuration.trajectories, graph)
                return runs.mean(0).numpy()
    return None
