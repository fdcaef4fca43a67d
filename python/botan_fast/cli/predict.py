"""botan-fast predict: files with what a model says of configurations."""

import argparse
from collections import Counter
from pathlib import Path

from ..errors import InputError
from ..files import file_name, is_file
from .options import DATA_OPTIONS, RUN_OPTIONS, add_options, data_options, in_order, set_threads

__all__ = ["DESCRIPTION", "NAME", "add_arguments", "run"]

NAME = "predict"
DESCRIPTION = "Predict propensities and pair-distance changes."

_ENDINGS = (".npz", ".xyz", ".extxyz")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    add_options(parser, "--model", "--data")
    parser.add_argument(
        "--output",
        "-o",
        required=True,
        metavar="OUT",
        help="folder, which gets an npz and an extended XYZ file for each configuration; "
        "or, for one configuration, a file that ends in .npz, .xyz or .extxyz",
    )
    add_options(parser, "--force", "--precision", *DATA_OPTIONS, *RUN_OPTIONS)


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from ..data.loading import load_samples
    from ..device import choose_device
    from ..evaluation.prediction import predict
    from ..evaluation.writing import write_npz, write_xyz
    from ..model.checkpoint import load_model

    set_threads(arguments.threads)
    output = Path(arguments.output)
    is_file(output)  # refuses pipes and devices, and names that none can have
    one_file = output.suffix in _ENDINGS and not output.is_dir()
    if not one_file and output.exists() and not output.is_dir():
        raise InputError(f"OUT = '{output}' is a file; name a folder, or a file that ends in .npz, .xyz or .extxyz")
    model = load_model(arguments.model)
    samples = load_samples(
        in_order(arguments.data),
        cutoff=model.config["cutoff"],
        self_edges=model.config["self_edges"],
        **data_options(arguments),
        require_targets=False,
        progress=not arguments.quiet,
    )
    device = choose_device(arguments.device)
    predictions = predict(model, samples, device=device, precision=arguments.precision, progress=not arguments.quiet)
    # Everything that can be wrong is found before the first file is written.
    names = [sample.name for sample in samples]
    groups = [_the_file(output, names)] if one_file else _files_in(output, names)
    paths = [path for group in groups for path in group]
    there = None if arguments.force else next((path for path in paths if path.exists()), None)
    if there is not None:
        raise InputError(f"'{there}' exists; choose another OUT, or overwrite with --force")
    if not one_file:
        output.mkdir(parents=True, exist_ok=True)
    for prediction, group in zip(predictions, groups, strict=True):
        for path in group:
            write = write_npz if path.suffix == ".npz" else write_xyz
            write(prediction, path)
    more = len(paths) - 1
    print(f"wrote {paths[0]}" + (f" and {more} more file{'s' if more > 1 else ''}" if more else ""))
    return 0


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
    return [[folder / f"{name}.npz", folder / f"{name}.xyz"] for name in names]
