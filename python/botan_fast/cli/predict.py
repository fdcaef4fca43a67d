"""botan-fast predict: files with what a model says of configurations."""

import argparse
import glob
import importlib.util
import itertools
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..evaluation.options import PREDICT
from ..files import file_name, is_file, remove_leftovers
from .arguments import add_options
from .options import data_options, set_threads

__all__ = ["DESCRIPTION", "NAME", "TABLE", "add_arguments", "run"]

NAME = "predict"
DESCRIPTION = "Predict propensities and pair-distance changes."
TABLE = PREDICT

_FORMATS = {  # of one file, by its ending
    ".npz": "npz",
    ".xyz": "xyz",
    ".extxyz": "xyz",
    ".data": "lammps",
    ".lmp": "lammps",
    ".ovito": "ovito",
}
_ENDINGS = f"a file that ends in {', '.join(list(_FORMATS)[:-1])} or {list(_FORMATS)[-1]}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    add_options(parser, TABLE)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from ..checks import positive
    from ..device import choose_device
    from ..evaluation.forward import named_model
    from ..evaluation.prediction import check_frames

    check_frames(arguments.frames)
    set_threads(arguments.threads)
    if not arguments.output:
        raise InputError(f"OUT = '' is empty; name a folder, or {_ENDINGS}")
    output = Path(arguments.output)
    is_file(output)  # refuses pipes and devices, and names that none can have
    one_file = output.suffix in _FORMATS and not output.is_dir()
    if not one_file and output.exists() and not output.is_dir():
        raise InputError(f"OUT = '{output}' is a file; name a folder, or {_ENDINGS}")
    if not one_file and not output.exists() and _means_a_file(output):
        raise InputError(
            f"OUT = '{output}' ends in '{output.suffix}', as files do that predict does not write; name a folder (one "
            f"of that name may be there before), or {_ENDINGS}"
        )
    _check_writable(output.parent if one_file else output)  # before the work
    formats = [_FORMATS[output.suffix]] if one_file else list(dict.fromkeys(arguments.formats))
    if "ovito" in formats and importlib.util.find_spec("ovito") is None:
        raise InputError('sessions of OVITO need OVITO: pip install "botan_fast[ovito]"')
    positive("bonds", arguments.bonds, zero=True)
    named = named_model(arguments.model, arguments.rotations)
    device = choose_device(arguments.device)
    written = (_all_frames if arguments.frames == "all" else _configurations)(
        arguments, named, device, output, formats if not one_file else None
    )
    more = len(written) - 1
    print(f"wrote {written[0]}" + (f" and {more} more file{'s' if more > 1 else ''}" if more else ""))
    return 0


def _means_a_file(output: Path) -> bool:
    """Does a name that would become a folder look like one of a file? Folders are named T0.44, or run.2."""
    return output.suffix[1:].isalpha() or output.suffix == ".h5"


def _configurations(
    arguments: argparse.Namespace, named: Any, device: Any, output: Path, formats: list[str] | None
) -> list[Path]:
    """One prediction for each configuration; `formats` is None where OUT is one file."""
    from ..evaluation.forward import samples_for
    from ..evaluation.prediction import predict_samples, warn_of_differences
    from ..ops.precision import check_precision

    check_precision(arguments.precision, auto=True)
    show = not arguments.quiet
    data = arguments.data
    samples = samples_for(named, data, **data_options(arguments), require_targets=False, progress=show)
    # Everything that can be wrong is found before the first file is written.
    names = [sample.name for sample in samples]
    groups = [_the_file(output, names)] if formats is None else _files_in(output, names, formats)
    paths = [path for group in groups for file in group for path in _written_with(file)]
    _require_new(paths, arguments.force)
    warn_of_differences(named, samples)
    predictions = predict_samples(named, samples, device, arguments.precision, show)
    if formats is not None:
        output.mkdir(parents=True, exist_ok=True)
    remove_leftovers(*paths)  # of a command that was killed while it wrote them
    for prediction, group in zip(predictions, groups, strict=True):
        for path in sorted(group, key=lambda path: path.suffix == ".npz"):  # the others look at --color
            _write(prediction, path, arguments)
    return paths


def _write(prediction: Any, path: Path, arguments: argparse.Namespace) -> None:
    """One prediction as the file that its ending says."""
    from ..evaluation.lammps import write_lammps
    from ..evaluation.objects import write_ovito
    from ..evaluation.writing import write_npz, write_xyz

    kind = _FORMATS[path.suffix]
    if kind == "npz":
        write_npz(prediction, path)
    elif kind == "xyz":
        write_xyz(prediction, path, color=arguments.color)
    elif kind == "lammps":
        write_lammps(prediction, path, color=arguments.color, bonds=arguments.bonds)
    else:
        write_ovito(prediction, path, color=arguments.color, bonds=arguments.bonds)


def _written_with(path: Path) -> list[Path]:
    """The file, and those that are written beside it."""
    if _FORMATS[path.suffix] != "lammps":
        return [path]
    from ..evaluation.lammps import lammps_files

    return list(lammps_files(path))


def _all_frames(
    arguments: argparse.Namespace, named: Any, device: Any, output: Path, formats: list[str] | None
) -> list[Path]:
    """A trajectory for each file: one XYZ file, and an npz for each frame where OUT is a folder."""
    from ..data.frames import open_frames
    from ..evaluation.prediction import frame_samples, predict_samples
    from ..evaluation.writing import write_npz, write_trajectory
    from ..ops.precision import check_precision

    check_precision(arguments.precision, auto=True)
    options = data_options(arguments)
    if options.pop("temperature") is not None or options.pop("time") is not None:
        raise InputError("--frames all takes every frame; leave --temperature and --time out")
    one_file = formats is None
    kind = _FORMATS.get(output.suffix)
    if one_file and kind != "xyz":
        shown = {"lammps": "LAMMPS file", "ovito": "session"}.get(str(kind), kind)
        raise InputError(f"OUT = '{output}' is one {shown}, which holds one frame; name a folder, or an .xyz file")
    if formats is not None and set(formats) != {"npz", "xyz"}:
        raise InputError(f"--formats {' '.join(formats)}: of --frames all come npz and xyz; leave --formats out")
    config = named.model.config
    sources = open_frames(arguments.data, config["cutoff"], config["self_edges"], **options)
    names = [source.name for source in sources]
    groups = [_the_file(output, names)] if one_file else _files_in(output, names, ["xyz"])
    _require_new([path for [path] in groups], arguments.force)
    if not one_file:
        frames = [path for name in names for path in output.glob(f"{glob.escape(name)}_frame*.npz")]
        _require_new(frames, arguments.force)
        output.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []

    def with_npz(predictions: Iterator[Any]) -> Iterator[Any]:
        for prediction in predictions:
            if not one_file:
                path = output / f"{prediction.name}_frame{getattr(prediction, 'frame', 0):05d}.npz"
                write_npz(prediction, path)
                written.append(path)
            yield prediction

    samples = frame_samples(named, sources)
    predictions = predict_samples(named, samples, device, arguments.precision, not arguments.quiet)
    paths = dict(zip(names, (path for [path] in groups), strict=True))
    for name, group in itertools.groupby(predictions, key=lambda prediction: prediction.name):
        written.append(paths[name])
        write_trajectory(with_npz(group), paths[name], color=arguments.color)
    return written


def _require_new(paths: list[Path], force: bool) -> None:
    there = None if force else next((path for path in paths if path.exists()), None)
    if there is not None:
        raise InputError(f"'{there}' exists; choose another OUT, or overwrite with --force")


def _check_writable(folder: Path) -> None:
    """InputError for a folder in which, or for one that does not exist in whose place, nothing can be written."""
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    if there.is_dir() and not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"OUT = '{folder}' cannot be written (folder '{there}' is not writable); choose another OUT")


def _the_file(output: Path, names: list[str]) -> list[Path]:
    if len(names) > 1:
        raise InputError(f"OUT = '{output}' is one file, for {len(names)} configurations; name a folder")
    return [output]


def _files_in(folder: Path, names: list[str], formats: list[str]) -> list[list[Path]]:
    """A file of each format for each configuration, inside the folder whatever its name is."""
    endings = ["data" if kind == "lammps" else kind for kind in formats]
    names = [file_name(name) for name in names]
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise InputError(f"two configurations are named {name}; predict them into separate folders")
    # As bytes: where the locale has no such letters the name is none that Python could make a file of.
    names = [os.fsdecode(name.encode("utf-8", "surrogateescape")) for name in names]
    return [[folder / f"{name}.{ending}" for ending in endings] for name in names]
