"""botan-fast predict: files with what a model says of configurations."""

import argparse
import glob
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

_ENDINGS = (".npz", ".xyz", ".extxyz")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    add_options(parser, TABLE)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from ..device import choose_device
    from ..evaluation.forward import named_model
    from ..evaluation.prediction import check_frames

    check_frames(arguments.frames)
    set_threads(arguments.threads)
    if not arguments.output:
        raise InputError("OUT = '' is empty; name a folder, or a file that ends in .npz, .xyz or .extxyz")
    output = Path(arguments.output)
    is_file(output)  # refuses pipes and devices, and names that none can have
    one_file = output.suffix in _ENDINGS and not output.is_dir()
    if not one_file and output.exists() and not output.is_dir():
        raise InputError(f"OUT = '{output}' is a file; name a folder, or a file that ends in .npz, .xyz or .extxyz")
    _check_writable(output.parent if one_file else output)  # before the work
    named = named_model(arguments.model, arguments.rotations)
    device = choose_device(arguments.device)
    written = (_all_frames if arguments.frames == "all" else _configurations)(
        arguments, named, device, output, one_file
    )
    more = len(written) - 1
    print(f"wrote {written[0]}" + (f" and {more} more file{'s' if more > 1 else ''}" if more else ""))
    return 0


def _configurations(arguments: argparse.Namespace, named: Any, device: Any, output: Path, one_file: bool) -> list[Path]:
    """One prediction for each configuration."""
    from ..evaluation.forward import samples_for
    from ..evaluation.prediction import predict_samples, warn_of_differences
    from ..evaluation.writing import write_npz, write_xyz
    from ..ops.precision import check_precision

    check_precision(arguments.precision, auto=True)
    show = not arguments.quiet
    data = arguments.data
    samples = samples_for(named, data, **data_options(arguments), require_targets=False, progress=show)
    # Everything that can be wrong is found before the first file is written.
    names = [sample.name for sample in samples]
    groups = [_the_file(output, names)] if one_file else _files_in(output, names)
    paths = [path for group in groups for path in group]
    _require_new(paths, arguments.force)
    warn_of_differences(named, samples)
    predictions = predict_samples(named, samples, device, arguments.precision, show)
    if not one_file:
        output.mkdir(parents=True, exist_ok=True)
    remove_leftovers(*paths)  # of a command that was killed while it wrote them
    for prediction, group in zip(predictions, groups, strict=True):
        for path in group:
            write = write_npz if path.suffix == ".npz" else write_xyz
            write(prediction, path)
    return paths


def _all_frames(arguments: argparse.Namespace, named: Any, device: Any, output: Path, one_file: bool) -> list[Path]:
    """A trajectory for each file: one XYZ file, and an npz for each frame where OUT is a folder."""
    from ..data.frames import open_frames
    from ..evaluation.prediction import frame_samples, predict_samples
    from ..evaluation.writing import write_npz, write_trajectory
    from ..ops.precision import check_precision

    check_precision(arguments.precision, auto=True)
    options = data_options(arguments)
    if options.pop("temperature") is not None or options.pop("time") is not None:
        raise InputError("--frames all takes every frame; leave --temperature and --time out")
    if one_file and output.suffix == ".npz":
        raise InputError(f"OUT = '{output}' is one npz, which holds one frame; name a folder, or an .xyz file")
    config = named.model.config
    sources = open_frames(arguments.data, config["cutoff"], config["self_edges"], **options)
    names = [source.name for source in sources]
    groups = [_the_file(output, names)] if one_file else [[group[1]] for group in _files_in(output, names)]
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
        write_trajectory(with_npz(group), paths[name])
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


def _files_in(folder: Path, names: list[str]) -> list[list[Path]]:
    """An npz and an extended XYZ file for each configuration, inside the folder whatever its name is."""
    names = [file_name(name) for name in names]
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise InputError(f"two configurations are named {name}; predict them into separate folders")
    # As bytes: where the locale has no such letters the name is none that Python could make a file of.
    names = [os.fsdecode(name.encode("utf-8", "surrogateescape")) for name in names]
    return [[folder / f"{name}.npz", folder / f"{name}.xyz"] for name in names]
