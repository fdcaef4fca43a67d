"""botan-fast convert: the command line of `convert`. Imports that take time are inside the functions."""

import argparse
import shlex
import sys

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = "Store configurations and their targets in an HDF5 data set; merge data sets."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    add = parser.add_argument
    add("inputs", nargs="+", metavar="INPUT", help="files of any readable format, data sets, or quoted glob patterns")
    add("--output", "-o", required=True, metavar="FILE.h5", help="the data set; an interrupted one is continued")
    add("--append", action="store_true", help="add to a data set that exists")
    add("--force", action="store_true", help="overwrite a data set that exists")
    add("--time", type=float, nargs="+", metavar="T", help="time of the data; where the files tell, which to take")
    add("--temperature", type=float, nargs="+", metavar="T", help="temperature, in the same manner")
    add("--targets", default="SE", metavar="LETTERS", help="targets to store: S, and any of E, R, D, L")
    add("--cutoff", type=float, help="largest pair distance of E (default: 2, or that of the data sets)")
    add("--box", type=float, nargs="+", metavar="L", help="edge of the periodic box, or one number for each axis")
    add("--density", type=float, help="number density of a cubic box (default: the file's box; authors' npz: 1.2)")
    add("--threads", type=int, metavar="N", help="CPU threads (default: torch's choice)")
    add("--quiet", action="store_true", help="no progress on standard error")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from ..data.conversion import convert
    from ..data.dataset import Dataset
    from ..data.schema import finished_parts
    from ..errors import InputError
    from ..files import natural_key

    if arguments.threads is not None:
        import torch

        if arguments.threads < 1:
            raise InputError(f"--threads = {arguments.threads}; give a whole number of at least 1")
        torch.set_num_threads(arguments.threads)
    box = arguments.box and (arguments.box[0] if len(arguments.box) == 1 else arguments.box)
    try:
        path = convert(
            # In natural order, whether the shell expanded a pattern (1, 10, 2) or botan_fast does.
            sorted(arguments.inputs, key=natural_key),
            arguments.output,
            cutoff=arguments.cutoff,
            box=box,
            density=arguments.density,
            time=arguments.time,
            temperature=arguments.temperature,
            targets=arguments.targets,
            append=arguments.append,
            force=arguments.force,
            progress=not arguments.quiet,
        )
    except KeyboardInterrupt:
        number = len(finished_parts(arguments.output))
        print(
            f"botan-fast: interrupted; {number} finished configurations are kept, repeat the command to continue",
            file=sys.stderr,
        )
        return 130
    dataset = Dataset(path)
    print(dataset.describe())
    choice = "".join(
        f" --{name} {values[0]:g}"
        for name, values in (("temperature", dataset.temperatures), ("time", dataset.times))
        if len(values) > 1
    )
    print(f"next: botan-fast train --train {shlex.quote(str(path))}{choice} --output run")
    return 0
