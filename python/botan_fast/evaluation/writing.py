"""Predictions of a model for one configuration, and how they are written: npz and extended XYZ."""

import io

import numpy as np

from ..errors import InputError
from ..files import FilePath, atomic_write, write_bytes
from .prediction import ConfigurationPrediction

__all__ = ["write_npz", "write_xyz"]


def write_npz(prediction: ConfigurationPrediction, path: FilePath) -> None:
    """Write the arrays of a prediction under the names of its fields; those that are None are left out.

    For a model of another node target, "propensity" in the names becomes its name in `Targets`. The file is written
    completely or not at all.

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

    The columns are `species` (A, B, ...), `pos` (3 numbers; z = 0 in two dimensions), `propensity`, and
    `target_propensity` where it is known. The comment line holds the periodic cell as Lattice, three row vectors; a
    two-dimensional one gets the third vector (0, 0, 1), not periodic. The file is written completely or not at all.

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
    A 0 0 0 1
    """
    p = prediction
    if p.types.max() > 25:
        raise InputError(f"types hold {p.types.max()}; the XYZ file names species by the letters A to Z")
    number, dimensions = p.positions.shape
    cell = np.eye(3)
    cell[:dimensions, :dimensions] = np.diag(p.box) if p.box.ndim == 1 else p.box
    positions = np.pad(p.positions, ((0, 0), (0, 3 - dimensions)))
    columns, properties = [p.propensity], f"species:S:1:pos:R:3:{p.quantity}:R:1"
    if p.target_propensity is not None:
        columns.append(p.target_propensity)
        properties += f":target_{p.quantity}:R:1"
    lattice = " ".join(f"{x:.17g}" for x in cell.ravel())
    periodic = "T T T" if dimensions == 3 else "T T F"
    with atomic_write(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(f'{number}\nLattice="{lattice}" Properties={properties} pbc="{periodic}"\n')
        for species, position, row in zip(p.types, positions, np.stack(columns, axis=1), strict=True):
            # As many digits as float64 and float32 need.
            numbers = " ".join([f"{x:.16g}" for x in position] + [f"{x:.9g}" for x in row])
            file.write(f"{chr(ord('A') + int(species))} {numbers}\n")
