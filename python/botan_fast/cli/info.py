"""botan-fast info: what this installation is."""

import argparse
import json

from .options import add_options

__all__ = ["DESCRIPTION", "NAME", "add_arguments", "run"]

NAME = "info"
DESCRIPTION = "Print versions, instruction set, threads and devices."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    add_options(parser, "--json")


def run(arguments: argparse.Namespace) -> int:
    """Run the command; returns the exit status."""
    from ..info import build_info

    info = build_info()
    if arguments.json:
        print(json.dumps(info))
        return 0
    # Two facts that are easily taken for one another.
    cuda = f"kernels built: {'yes' if info['cuda'] else 'no'}, device: {info.pop('cuda_device') or 'none'}"
    for name, value in {**info, "cuda": cuda}.items():
        print(f"{name:20}{value}".rstrip())
    return 0
