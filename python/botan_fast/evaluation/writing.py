"""Predictions of a model as files: npz and extended XYZ, of one configuration or of a trajectory."""

import io
from collections.abc import Iterable
from typing import TextIO

import numpy as np

from ..errors import InputError
from ..files import FilePath, atomic_write, write_bytes
from .prediction import ConfigurationPrediction, FramePrediction

__all__ = ["write_npz", "write_trajectory", "write_xyz"]

# What OVITO draws: sigma_AA / 2 and sigma_BB / 2 of the Kob-Andersen mixture. By its name alone B would be boron,
# several times as large as A. Nothing is known of mixtures of more species.
RADII = (0.5, 0.44)
OTHER_RADIUS = 0.5


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


def write_xyz(prediction: ConfigurationPrediction, path: FilePath) -> None:
    """Write the particles of a prediction as extended XYZ, which OVITO opens: type, position, predicted S_i.

    The columns are `species` (A, B, ...), `pos` (3 numbers; z = 0 in two dimensions), `propensity` where the model was
    trained for it (with several outputs `propensity_t13`, ... for the time 13, ...; NaN where a target at one of them
    is not known), `propensity_spread` of an ensemble, `target_propensity` where it is known, `id` (from 1) and
    `radius`: 0.5 for A and 0.44 for B, half of their diameters in the Kob-Andersen mixture, and 0.5 for all where there
    are more than two species. OVITO takes the last two for its Particle Identifier and Radius. The comment line holds
    the periodic cell as Lattice, three row vectors; a two-dimensional one gets the third vector (0, 0, 1), not
    periodic. The file is written completely or not at all.

    Raises
    ------
    InputError
        for more than 26 species, which have no letter.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from botan_fast.evaluation.prediction import ConfigurationPrediction
    >>> from botan_fast.evaluation.writing import write_xyz
    >>> pair = np.array([0], np.int32)
    >>> p = ConfigurationPrediction("a", np.zeros((1, 3)), np.zeros(1, int), np.ones(3), np.ones(1, np.float32),
    ...     pair, pair, np.ones(1, np.float32))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_xyz(p, folder + "/a.xyz")
    ...     print(open(folder + "/a.xyz").read().splitlines()[2])
    A 0 0 0 1 1 0.5
    """
    with atomic_write(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        _write_frame(file, prediction)


def write_trajectory(predictions: Iterable[ConfigurationPrediction], path: FilePath) -> int:
    """Write predictions one behind the other into one extended XYZ file, a trajectory for OVITO; returns their number.

    Frames are as `write_xyz` writes them; the comment line of a `FramePrediction` also has Frame, and Time and Step
    where they are known. One prediction is in memory at a time. The file is written completely or not at all.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from botan_fast.evaluation.prediction import FramePrediction
    >>> from botan_fast.evaluation.writing import write_trajectory
    >>> pair = np.array([0], np.int32)
    >>> frames = (FramePrediction("a", np.zeros((1, 3)), np.zeros(1, int), np.ones(3), np.ones(1, np.float32),
    ...     pair, pair, np.ones(1, np.float32), frame=k, time=0.5 * k) for k in range(3))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     number = write_trajectory(frames, folder + "/a.xyz")
    ...     print(number, open(folder + "/a.xyz").read().splitlines()[4].split('" ')[-1])
    3 Frame=1 Time=0.5
    """
    number = 0
    with atomic_write(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        for prediction in predictions:
            _write_frame(file, prediction)
            number += 1
    return number


def _endings(prediction: ConfigurationPrediction, values: np.ndarray) -> list[str]:
    """What the names of the columns end in: "" for one, "_t13" for the time 13 of several, or their numbers."""
    if values.ndim == 1:
        return [""]
    return [f"_t{t:.10g}" for t in prediction.times or ()] or [f"_{k}" for k in range(values.shape[1])]


def _write_frame(file: TextIO, prediction: ConfigurationPrediction) -> None:
    p = prediction
    if p.types.max() > 25:
        raise InputError(f"types hold {p.types.max()}; the XYZ file names species by the letters A to Z")
    number, dimensions = p.positions.shape
    cell = np.eye(3)
    cell[:dimensions, :dimensions] = np.diag(p.box) if p.box.ndim == 1 else p.box
    positions = np.pad(p.positions, ((0, 0), (0, 3 - dimensions)))
    properties, columns = "species:S:1:pos:R:3", []
    nodes = {p.quantity: p.propensity, f"{p.quantity}_spread": p.propensity_spread}
    for name, values in (nodes | {f"target_{p.quantity}": p.target_propensity}).items():
        if values is not None:
            columns += list(values.reshape(number, -1).T)
            properties += "".join(f":{name}{ending}:R:1" for ending in _endings(p, values))
    properties += ":id:I:1:radius:R:1"
    radii = RADII if p.types.max() < len(RADII) else (OTHER_RADIUS,) * (int(p.types.max()) + 1)
    comment = f'Lattice="{" ".join(f"{x:.17g}" for x in cell.ravel())}" Properties={properties}'
    comment += f' pbc="{"T T T" if dimensions == 3 else "T T F"}"'
    if isinstance(p, FramePrediction):
        comment += f" Frame={p.frame}"
        comment += "" if p.time is None else f" Time={p.time:.17g}"
        comment += "" if p.step is None else f" Step={p.step}"
    rows = np.stack(columns, axis=1) if columns else np.empty((number, 0))
    file.write(f"{number}\n{comment}\n")
    for k, (species, position, row) in enumerate(zip(p.types, positions, rows, strict=True), start=1):
        # As many digits as float64 and float32 need.
        numbers = [f"{x:.16g}" for x in position] + [f"{x:.9g}" for x in row]
        file.write(f"{chr(ord('A') + int(species))} {' '.join(numbers)} {k} {radii[int(species)]:g}\n")
