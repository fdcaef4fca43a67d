"""Predictions of a model as files: npz and extended XYZ, of one configuration or of a trajectory."""

import io
from collections.abc import Iterable
from typing import TextIO

import numpy as np

from ..files import FilePath, atomic_write, write_bytes
from .colors import Scale, scale_of_particles
from .columns import cell_of, names_of, particle_columns, places_of, radii_of
from .prediction import ConfigurationPrediction, FramePrediction

__all__ = ["write_npz", "write_trajectory", "write_xyz"]


def write_npz(prediction: ConfigurationPrediction, path: FilePath) -> None:
    """Write the arrays of a prediction under the names of its fields; those that are None are left out.

    For a model of another node target, "propensity" in the names becomes its name in `Targets`. `times` is there for a
    model with several outputs. The file is written completely or not at all.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from botan_fast.evaluation.prediction import ConfigurationPrediction
    >>> from botan_fast.evaluation.writing import write_npz
    >>> pair = np.array([0], np.int32)
    >>> p = ConfigurationPrediction("a", np.zeros((1, 3)), np.zeros(1, int), np.ones(3), np.ones(1, np.float32),
    ...     pair, pair, np.ones(1, np.float32))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_npz(p, folder + "/a.npz")
    ...     print(np.load(folder + "/a.npz")["propensity"])
    [1.]
    """
    arrays = {key: value for key, value in vars(prediction).items() if value is not None and key != "node_target"}
    arrays = {key.replace("propensity", prediction.quantity): value for key, value in arrays.items()}
    content = io.BytesIO()  # in memory first: a ZipFile on a full disk reports it once more when it is collected
    np.savez(content, **arrays)
    write_bytes(path, content.getbuffer())


def write_xyz(prediction: ConfigurationPrediction, path: FilePath, *, color: str | None = None) -> None:
    """Write the particles of a prediction as extended XYZ, which OVITO opens with the colours on.

    The columns are `species` (A, B, ...), `pos` (3 numbers; z = 0 in two dimensions), those of `particle_columns`:
    `propensity` where the model was trained for it, `propensity_spread` of an ensemble, `target_propensity` where it is
    known and then `propensity_error` (with several outputs `propensity_t13`, ... for the time 13, ...; NaN where a
    target at one of them is not known), `id` (from 1), `radius`: 0.5 for A and 0.44 for B, half of their diameters in
    the Kob-Andersen mixture, and 0.5 for all where there are more than two species, and `Color`: red, green and blue of
    the column `color`. OVITO takes the last three for its Particle Identifier, Radius and Color. The comment line holds
    the periodic cell as Lattice, three row vectors (a two-dimensional one gets the third vector (0, 0, 1), not
    periodic), and what the colours mean: ColorBy, ColorLow, ColorHigh and ColorMap. The file is written completely or
    not at all.

    Parameters
    ----------
    color : the column to be shown; None: the first, which is predicted; "none": no Color. Signed columns (errors) go
        from blue over grey to red around 0, others from the 1st to the 99th percentile of predicted and actual values
        together.

    Raises
    ------
    InputError
        for more than 26 species, which have no letter, and a color that is no column.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from botan_fast.evaluation.prediction import ConfigurationPrediction
    >>> from botan_fast.evaluation.writing import write_xyz
    >>> pair = np.empty(0, np.int32)
    >>> p = ConfigurationPrediction("a", np.zeros((1, 3)), np.zeros(1, int), np.ones(3), np.ones(1, np.float32),
    ...     pair, pair, np.empty(0, np.float32))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_xyz(p, folder + "/a.xyz", color="none")
    ...     print(open(folder + "/a.xyz").read().splitlines()[2])
    A 0 0 0 1 1 0.5
    """
    with atomic_write(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        _write_frame(file, prediction, scale_of_particles(prediction, color))


def write_trajectory(
    predictions: Iterable[ConfigurationPrediction], path: FilePath, *, color: str | None = None
) -> int:
    """Write predictions one behind the other into one extended XYZ file, a trajectory for OVITO; returns their number.

    Frames are as `write_xyz` writes them, on the colour scale of the first; the comment line of a `FramePrediction`
    also has Frame, and Time and Step where they are known. One prediction is in memory at a time. The file is written
    completely or not at all.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from botan_fast.evaluation.prediction import FramePrediction
    >>> from botan_fast.evaluation.writing import write_trajectory
    >>> pair = np.empty(0, np.int32)
    >>> frames = (FramePrediction("a", np.zeros((1, 3)), np.zeros(1, int), np.ones(3), np.ones(1, np.float32),
    ...     pair, pair, np.empty(0, np.float32), frame=k, time=0.5 * k) for k in range(3))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     number = write_trajectory(frames, folder + "/a.xyz", color="none")
    ...     print(number, open(folder + "/a.xyz").read().splitlines()[4].split('" ')[-1])
    3 Frame=1 Time=0.5
    """
    number, scale = 0, None
    with atomic_write(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        for prediction in predictions:
            if number == 0:
                scale = scale_of_particles(prediction, color)
            _write_frame(file, prediction, scale)
            number += 1
    return number


def _write_frame(file: TextIO, prediction: ConfigurationPrediction, scale: Scale | None) -> None:
    p, names = prediction, names_of(prediction)
    number, dimensions = p.positions.shape
    columns = particle_columns(p)
    properties = "species:S:1:pos:R:3" + "".join(f":{name}:R:1" for name in columns) + ":id:I:1:radius:R:1"
    comment = f'Lattice="{" ".join(f"{x:.17g}" for x in cell_of(p).ravel())}"'
    colors = None
    if scale is not None and scale.column in columns:
        colors = scale.colors(columns[scale.column])
        properties += ":Color:R:3"
    comment += f' Properties={properties} pbc="{"T T T" if dimensions == 3 else "T T F"}"'
    if colors is not None and scale is not None:
        comment += f" ColorBy={scale.column} ColorLow={scale.low:.6g} ColorHigh={scale.high:.6g}"
        comment += f" ColorMap={scale.colormap}"
    if isinstance(p, FramePrediction):
        comment += f" Frame={p.frame}"
        comment += "" if p.time is None else f" Time={p.time:.17g}"
        comment += "" if p.step is None else f" Step={p.step}"
    rows = np.stack(list(columns.values()), axis=1) if columns else np.empty((number, 0))
    radii, places = radii_of(p), places_of(p)
    file.write(f"{number}\n{comment}\n")
    for k in range(number):
        # As many digits as float64 and float32 need.
        line = [names[int(p.types[k])]] + [f"{x:.16g}" for x in places[k]] + [f"{x:.9g}" for x in rows[k]]
        line += [str(k + 1), f"{radii[k]:g}"]
        if colors is not None:
            line += [f"{x:.4f}" for x in colors[k]]
        file.write(" ".join(line) + "\n")
