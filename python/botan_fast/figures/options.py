"""The options of `botan-fast figures`, beside those that every command which reads data has."""

from ..option import Option

__all__ = ["FIGURES", "FORMATS"]

FORMATS = ("pdf", "png", "svg")

FIGURES = (
    Option(
        "runs",
        "data",
        "run folder, model file, folder of a sweep, scores of evaluate (.json), table of collect or history of a run "
        "(.csv), predictions (.npz, or their folder), data set of simulate (.h5)",
        several=True,
        metavar="RUN",
        required=True,
        position=True,
    ),
    Option("output", "path", "folder for the figures", default="figures", metavar="DIR", short="-o"),
    Option(
        "data",
        "data",
        "what the models of run folders are drawn on (default: the test data of each run)",
        several=True,
        metavar="DATA",
    ),
    Option(
        "slab", "number", "LOW HIGH: from where to where the slab goes (default: the paper's)", several=2, metavar="Z"
    ),
    Option("axis", "integer", "the direction across the slab: 0, 1 or 2", default=2, metavar="K"),
    Option(
        "formats",
        "text",
        "kinds of files (default: pdf and png)",
        default=["pdf", "png"],
        several=True,
        metavar="KIND",
    ),
    Option("force", "switch", "overwrite figures", default=False),
)
"""What is drawn, of what, and where it goes."""
