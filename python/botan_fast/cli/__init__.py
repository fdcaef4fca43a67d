"""The command botan-fast: one file for each command; `entry` is the loop over them, `options` what they share,
`logs` where their log lines go, `arguments` makes their flags of the tables of options, `config` reads the file of
--config.

A command is a module with

NAME                          the word after botan-fast
DESCRIPTION                   one line or two for --help
add_arguments(parser)         adds its options to an argparse parser
TABLE                         optional: its options; with it the command has --config FILE
run(arguments) -> int         does the work and returns the exit status; bad input is a BotanFastError
interrupted(arguments, argv)  optional: what follows "botan-fast: interrupted" after Ctrl-C, a str. It also says that
                              the command, given again (with --resume, where it has that), goes on: a job of SLURM
                              that SIGUSR1 ends is then requeued, see `requeue`

Imports that take time (torch, NumPy) are inside the functions that need them: --help answers at once. This file
imports nothing: what starts the command puts its handlers of signals first.
"""

__all__ = ["main"]


def main(argv: "list[str] | None" = None) -> int:
    """`botan_fast.cli.entry.main`: run the command line and return its exit status."""
    from .entry import main

    return main(argv)
