"""botan-fast demo: the command line of `demo`. Imports that take time are inside the functions."""

import shlex
import sys

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = "Train on the data that come with the package, for about a minute, and draw what the model has learned."


def add_arguments(parser) -> None:
    """Add the arguments of the command to an argparse parser."""
    add = parser.add_argument
    add("--output", "-o", default="botan-fast-demo", metavar="DIR", help="folder for the run and the figure")
    add("--time", type=float, metavar="T", help="which of the data's times to learn")
    add("--epochs", type=int, metavar="N", help="passes over the training configurations")
    add("--quiet", action="store_true", help="no progress on standard error")


def run(arguments) -> int:
    """Run the command; returns the exit status."""
    from .demo import EPOCHS, TIME, demo

    time = TIME if arguments.time is None else arguments.time
    epochs = EPOCHS if arguments.epochs is None else arguments.epochs
    if not arguments.quiet:
        print(
            f"botan-fast demo: Kob-Andersen mixture at T = 0.64, learning S_i and E_ij at t = {time:g}", file=sys.stderr
        )
    result = demo(arguments.output, time=time, epochs=epochs, progress=not arguments.quiet)
    print(f"{'held-out configurations':44}{'before':>10}{'after':>10}")
    for label, name in (
        ("node Pearson (type A)", "node_pearson"),
        ("edge Pearson (A-A pairs, r_ij(0) < 1.35)", "edge_pearson"),
    ):
        print(f"{label:44}{result.before[name]:10.3f}{result.after[name]:10.3f}")
    folder = shlex.quote(str(result.output))
    print(f"model: {folder}/run   predictions: {folder}/predictions   figure: {folder}/propensity.png")
    print("next, with your own data: botan-fast train --train 'train/*.npz' --test 'test/*.npz' --output run")
    print("      or make data:       botan-fast simulate --help")
    return 0
