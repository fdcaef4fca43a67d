"""The command botan-fast: one file for each command; `entry` is the loop over them, `options` what they share.

A command is a module with

NAME                          the word after botan-fast
DESCRIPTION                   one line or two for --help
add_arguments(parser)         adds its options to an argparse parser
run(arguments) -> int         does the work and returns the exit status; bad input is a BotanFastError
interrupted(arguments, argv)  optional: what follows "botan-fast: interrupted" after Ctrl-C, a str

Imports that take time (torch, NumPy) are inside the functions that need them: --help answers at once.
"""

from .entry import main

__all__ = ["main"]
