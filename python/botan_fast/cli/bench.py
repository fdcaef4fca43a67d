"""botan-fast bench: are the results right, and how fast does this machine make them."""

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from ..data.options import QUIET, THREADS
from ..errors import InputError
from ..evaluation.options import DEVICE
from ..files import atomic_write
from .arguments import add_options
from .options import set_threads

__all__ = ["DESCRIPTION", "NAME", "add_arguments", "run"]

NAME = "bench"
DESCRIPTION = "Check results and measure speed and memory on this machine, in about a minute, beside plain torch."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument("--size", type=int, default=4096, metavar="N", help="particles of the synthetic configuration")
    device = replace(DEVICE, help="cpu (default), or cuda: kernels on the GPU, also as CUDA graphs")
    add_options(parser, (device, THREADS))
    parser.add_argument("--json", metavar="FILE", help="write all measurements to FILE")
    add_options(parser, (QUIET,))


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from ..bench.benchmark import benchmark
    from ..bench.gpu import benchmark_gpu
    from ..bench.table import table

    # What can be wrong is found before the minute of work.
    set_threads(arguments.threads)
    if arguments.json is not None:
        folder = Path(arguments.json).resolve().parent
        if not folder.is_dir():
            raise InputError(f"--json = '{arguments.json}': folder '{folder}' does not exist; create it first")
        if Path(arguments.json).is_dir():
            raise InputError(f"--json = '{arguments.json}' is a folder; give the name of a file")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InputError(f"--json = '{arguments.json}': folder '{folder}' is not writable; choose another one")
    say = None if arguments.quiet else (lambda message: print(f"{message} ...", file=sys.stderr, flush=True))
    if arguments.device in (None, "cpu"):
        record = benchmark(arguments.size, progress=say)
    else:
        record = benchmark_gpu(arguments.size, arguments.device, progress=say)
    if arguments.json is not None:
        with atomic_write(arguments.json) as path:
            path.write_text(json.dumps(record, indent=1) + "\n")
    print(table(record))
    if arguments.json is not None:
        print(f"wrote {arguments.json}")
    return 0
