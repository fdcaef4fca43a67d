"""write_report: from run folders to the page."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Array
from ..data.loading import Data
from ..data.selection import Numbers
from ..device import Device
from ..errors import InputError
from ..files import FilePath, is_file, printable, write_bytes
from ..info import build_info
from .options import DEFAULT_OUTPUT
from .page import GENERATOR, Section, page
from .results import results_of
from .runs import Run, read_run
from .scores import comparison
from .sections import section

__all__ = ["write_report"]

_MARK = f'<meta name="generator" content="{GENERATOR} '.encode()
_HEAD = 4000  # bytes of a page in which the mark stands


def write_report(
    runs: FilePath | Sequence[FilePath],
    output: FilePath = DEFAULT_OUTPUT,
    *,
    data: Data | None = None,
    title: str | None = None,
    command: str | None = None,
    force: bool = False,
    box: Array | None = None,
    density: float | None = None,
    temperature: Numbers = None,
    time: Numbers = None,
    species: Sequence[str] | None = None,
    windows: float | Sequence[float] | None = None,
    device: Device = None,
    precision: str = "fp32",
    progress: bool = False,
) -> Path:
    """Write a page of HTML about runs: what was trained on what, curves, scores, figures, particles to turn.

    The page is one file. It needs no network, and forbids itself any; it is light or dark as the reader's system is,
    and can be printed. Names and texts from files are escaped. The same runs give the same bytes.

    Parameters
    ----------
    runs : path, or list of paths
        Run folders of `train` or `train_baseline`, or model files; names of `shipped_models` too. With several, a table
        compares them.
    output : path
        The page. A report that is there already is replaced; another file needs `force`.
    data : as for `evaluate`, optional
        The test configurations; by default for each run those that its run.toml names. Without either a run has no
        scores, no figures of values and no particles, and the page says so.
    title : str, optional
        The heading; by default the names of the runs.
    command : str, optional
        What repeats all of it, in place of the commands by run.toml.
    force : bool
        Overwrite a file that is no report of botan_fast.
    box, density, temperature, time, species
        As in `evaluate`; by default as in each run.
    windows, device, precision, progress
        As in `evaluate`.

    Returns
    -------
    Path
        `output`.

    Raises
    ------
    InputError
        for no runs, a run that does not exist, test data of a run that are gone, and an output that cannot be written.
    CheckpointError, DataError
        for files of runs and of data that cannot be read.

    Examples
    --------
    >>> from botan_fast.report.write import write_report
    >>> path = write_report("ka-t0.44-tau", "report.html", title="Weights that come with the package")
    >>> "<h1>Weights that come with the package</h1>" in path.read_text()
    True
    """
    output = _checked(output, force)
    paths: list[FilePath] = [runs] if isinstance(runs, (str, os.PathLike)) else list(runs)
    if not paths:
        raise InputError("runs is empty; give at least one run folder")
    read = [read_run(path) for path in paths]
    headings = _headings(read)
    reading: dict[str, Any] = {"box": box, "density": density, "temperature": temperature, "time": time}
    held: dict[str, Any] = {"windows": windows, "device": device, "precision": precision, "progress": progress}
    sections: list[Section] = []
    scores = []
    for run, heading in zip(read, headings, strict=True):
        results = results_of(run, data, reading | {"species": species}, **held)
        scores.append((heading, None if results is None else results.scores))
        sections.append(section(run, heading, results, command))
        del results  # the configurations of one run at a time are in memory
    text = page(
        title or (headings[0] if len(read) == 1 else f"{len(read)} runs: {', '.join(headings)}"),
        sections,
        _versions(read),
        comparison(scores) if len(read) > 1 else None,
        None if command else _own_command(paths, output, data, reading | {"species": species, "windows": windows}),
    )
    write_bytes(output, text.encode())
    return output


def _checked(output: FilePath, force: bool) -> Path:
    """The path of the page, refused before the work where it cannot be written."""
    path = Path(output)
    if not str(output) or path.is_dir():
        raise InputError(
            f"output = '{printable(output)}' is not the name of a file; give one, such as {DEFAULT_OUTPUT}"
        )
    if not path.parent.is_dir():
        raise InputError(
            f"output = '{printable(output)}': folder '{printable(path.parent)}' does not exist; create it first"
        )
    if is_file(path) and not force:
        with open(path, "rb") as file:
            if _MARK not in file.read(_HEAD):
                raise InputError(
                    f"output = '{printable(output)}' exists and is no report of botan_fast; name another file, or "
                    "overwrite it with force=True (--force)"
                )
    return path


def _headings(runs: Sequence[Run]) -> list[str]:
    """The names of the runs; where two have one name, their paths."""
    names = [printable(run.name) for run in runs]
    return [name if names.count(name) == 1 else printable(run.path) for name, run in zip(names, runs, strict=True)]


def _versions(runs: Sequence[Run]) -> list[tuple[str, str]]:
    """Of this installation, and of those that trained the models."""
    info = build_info()
    trained = {run.model.card.botan_fast for run in runs if run.model.card is not None and run.model.card.botan_fast}
    lines = [("botan_fast, this page", str(info["version"]))]
    lines += [("botan_fast, training", ", ".join(sorted(trained)))] if trained else []
    lines += [(name, str(info[name])) for name in ("torch", "numpy", "python", "platform", "simd")]
    return [*lines, ("device", str(info["cuda_device"]) or "CPU")]


def _own_command(paths: Sequence[FilePath], output: Path, data: Data | None, reading: dict[str, Any]) -> str | None:
    """The command that makes this page again; None where the data are no files, or a box is a cell."""
    words = ["botan-fast", "report", *map(str, paths)]
    if data is not None:
        files = data if isinstance(data, (list, tuple)) else [data]
        if not all(isinstance(file, (str, Path)) for file in files):
            return None
        words += ["--data", *map(str, files)]
    for name, value in reading.items():
        if value is not None:
            values = np.atleast_1d(np.asarray(value))
            if values.ndim > 1:
                return None
            words += [f"--{name}", *(str(x).removesuffix(".0") for x in values.tolist())]
    return printable(shlex.join([*words, "-o", str(output)]), 5000)
