"""From files in any readable format to one HDF5 data set."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from ..arrays import Array
from ..checks import positive
from ..errors import InputError
from ..files import FilePath, is_file, name_of, printable
from ..log import logger
from ..physics.potential import KOB_ANDERSEN, PotentialLike, check_potential
from ..quantities import LETTERS
from ..terminal import progress_bar
from .dataset import Dataset
from .extras import Minima
from .inputs import Stored, over_names, told_to_be_chosen, unique_names
from .marks import a_stranger, finished_inputs, identity
from .output import exists_already
from .reading import Reading
from .schema import is_dataset, parts_folder
from .selection import Choice, Numbers
from .sources import find_files
from .species import SpeciesOrder
from .writer import DatasetWriter

__all__ = ["convert"]

_LOG = logger(__name__)


def convert(
    inputs: FilePath | Sequence[FilePath],
    output: FilePath,
    *,
    cutoff: float | None = None,
    box: Array | None = None,
    density: float | None = None,
    time: Numbers = None,
    temperature: Numbers = None,
    species: Sequence[str] | None = None,
    targets: Iterable[str] = ("S", "E"),
    inherent: bool = False,
    potential: PotentialLike = KOB_ANDERSEN,
    append: bool = False,
    force: bool = False,
    progress: bool = False,
    report: Callable[[Path], Any] | None = None,
) -> Path:
    """Compute graphs and targets of configurations once, and store them in an HDF5 data set (see `Dataset`).

    Each finished configuration is safe on the disk at once. After a kill or Ctrl-C the same call continues where it
    stopped; the result is the one of a call that was never interrupted. Configurations are named by their files; where
    files in different folders have one name, by their folders too. Data sets among the inputs, such as the
    shards of `botan-fast simulate`, are merged. A configuration that several inputs hold at different times becomes
    one with all of them, such as the ten files of the authors' (isoconfig_N4096T0.44_401_tc01.npz to _tc10.npz), which
    become isoconfig_N4096T0.44_401.

    Parameters
    ----------
    inputs : path, glob pattern, or list of them
        Files in any format of `botan_fast.formats`, patterns of layouts, and data sets. Their order is the order in
        the data set.
    output : path
        The data set. One that is finished is not overwritten, unless `append` or `force` is given.
    cutoff : float, optional
        Pairs closer than this, in units of sigma_AA, get E_ij. By default that of the data sets involved, else 2.0.
    box, density : optional
        Periodic box of the files, see `load_samples`.
    time, temperature : float or list of float, optional
        Time and temperature of the data in Lennard-Jones units, where the files do not tell; where they tell, which
        of them to take (by default all). Files with several times that they do not name need a list of all of them.
        Where only names of files tell, one value that none of them has is what the caller knows better: it counts.
    species : list of str, optional
        Names of the types 0 (A), 1 (B), ..., see `load_samples`. The data set keeps the names.
    targets : str or list of str
        Letters of the targets to compute, see `isoconfigurational_targets`: S always, and any of E, R, C, D, L. Files
        without trajectories give those that they hold.
    inherent : bool
        Store the inherent structure of every configuration too, positions and energies (see `inherent_structure`).
        Those that the inputs hold are kept, with it those alone that are minima of the same potential.
    potential : LennardJones or str
        Of which it is the minimum; types count after `species`.
    append : bool
        Add to a data set that exists; input files that it has already are skipped.
    force : bool
        Overwrite `output`.
    progress : bool
        Show a progress bar on standard error, when that is a terminal.
    report : callable, optional
        Called with `output` when that is complete, before the last sign goes that it was interrupted: after a kill in
        `report` the same call finds its finished work and calls it again.

    Returns
    -------
    Path
        `output`.

    Raises
    ------
    InputError
        `output` exists, or what an interrupted call with other inputs left of it; an argument is wrong, two
        configurations have one name and temperature, or one configuration is there twice, with no or the same time. Of
        files with one run each, the message has the layout that joins them. Nothing of the call stays then.
    DataError
        An input is missing or broken, or its positions do not fit the box. What was finished before stays.

    Warns
    -----
    BotanFastWarning
        The targets are of one run, type 0 is the minority, or `time` or `temperature` contradict the names of files.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> import botan_fast as bf
    >>> folder = tempfile.TemporaryDirectory()
    >>> x = np.random.default_rng(0).random((100, 3)) * (100 / 1.2) ** (1 / 3)
    >>> np.savez(folder.name + "/a.npz", types=np.zeros(100, int), initial_positions=x, positions=x[None] + 0.1)
    >>> path = bf.convert(folder.name + "/*.npz", folder.name + "/data.h5", time=13.0, temperature=0.44)
    >>> print(bf.Dataset(path).describe().splitlines()[1])
      temperature 0.44, time 13: 1 configurations, 1 runs
    """
    letters = _check_targets(targets)
    Choice(temperature, time)  # checks them
    if density is not None:
        density = positive("density", density)
    if not str(output) or Path(output).is_dir():
        raise InputError(f"output = '{output}' is not the name of a file; give one, such as data.h5")
    output = Path(output)
    files = find_files(inputs)
    _check_output(output, files, append, force)
    if cutoff is None:
        cutoff = next((Dataset(file).cutoff for file in [*([output] * append), *files] if is_dataset(file)), 2.0)
    settings = {
        "cutoff": cutoff,
        "box": _plain(box),
        "density": density,
        "time": _plain(time),
        "temperature": _plain(temperature),
        "targets": letters,
    }
    minima = None
    if inherent:
        minima = Minima(check_potential(potential))
        settings["inherent"] = minima.potential.as_dict()
    order = SpeciesOrder(species)
    if species is not None:
        settings["species"] = list(order.given or ())
    given = over_names(files, time, temperature)
    reading = Reading(cutoff, box, density, temperature, time, letters, order, given, minima)
    begun = monotonic()
    wanted = [file for file in files if told_to_be_chosen(file, time, temperature, given)]
    provenance = {"command": "convert", **settings}
    with DatasetWriter(
        output, cutoff=cutoff, provenance=provenance, settings=settings, overwrite=force, append=append
    ) as writer:
        if not (append or writer.complete) and (stranger := a_stranger(writer, files, settings)) is not None:
            if not force:
                raise InputError(
                    f"output = '{output}' was begun with other inputs ({stranger}) and interrupted; repeat with those "
                    "too, add to it with append=True (--append), or overwrite it with force=True (--force)"
                )
            writer.clear()
        done, names, known = finished_inputs(writer), unique_names(files), Stored(writer, files)
        for file in progress_bar(wanted, show=progress, desc="converting", unit="file"):
            digest = identity(file, settings)
            finished, complete = done.get(digest, (set(), False))
            if complete:
                continue
            for name, make, last in reading.records(file, finished.__contains__):
                name = printable(name, 1000)
                name = names[file] if name == printable(name_of(file), 1000) else name
                if name not in finished:
                    record = make()
                    record.name = name
                    try:
                        known.join(record, file)
                    except InputError:
                        # The inputs were wrong: whoever leaves one out must not find it in the data set all the same.
                        writer.withdraw()
                        raise
                    if record.name in finished:
                        continue
                    mark = f"{file} [{digest}{' last' if last else ''}]"
                    record.source = "\n".join(filter(None, (mark, record.source)))
                    writer.add(record)
                    known.add(record, file)
                    _LOG.debug("stored %s of %s", record.name, file)
        order.check_found()
        known.say()
        writer.close(None if report is None else lambda: report(output))
    _LOG.info("wrote %s from %d files, %.1f s", output, len(wanted), monotonic() - begun)
    return output


def _check_targets(targets: Any) -> str:
    letters = "".join(targets) if isinstance(targets, (str, list, tuple)) and all(map(str, targets)) else str(targets)
    for letter in letters:
        if letter not in LETTERS:
            raise InputError(f"targets has {letter!r}; give letters of {', '.join(LETTERS)}")
    if "S" not in letters:
        raise InputError(f"targets = {targets!r} lacks S, which every data set has; add it")
    return "".join(letter for letter in LETTERS if letter in letters)


def _check_output(output: Path, files: list[Path], append: bool, force: bool) -> None:
    if append and force:
        raise InputError("append and force are both given; give one of them")
    if not is_file(output) and not output.exists():
        return
    if any(file.exists() and file.samefile(output) for file in files):
        raise InputError(
            f"output = '{output}' is among the inputs; name another file, or leave it out and append to it"
        )
    if not (parts_folder(output).is_dir() or append or force):
        raise InputError(exists_already(output))


def _plain(value: Any) -> Any:
    """A number, array or list as JSON can hold it."""
    return None if value is None else np.asarray(value, dtype=np.float64).tolist()
