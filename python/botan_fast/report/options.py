"""The options of `report`."""

from dataclasses import replace

from ..data.options import DATA, FORCE, QUIET, READING, THREADS
from ..evaluation.options import DEVICE, PRECISION, WINDOWS, is_shipped
from ..option import Option

__all__ = ["DEFAULT_OUTPUT", "REPORT"]

DEFAULT_OUTPUT = "report.html"

REPORT = (
    Option(
        "runs",
        "path",
        "run folders, or model files",
        several=True,
        metavar="RUN",
        required=True,
        position=True,
        named=is_shipped,
    ),
    replace(DATA, help=f"test configurations (default: those of each run): {DATA.help}", required=False),
    Option("output", "path", "the page", default=DEFAULT_OUTPUT, metavar="FILE.html", short="-o"),
    Option("title", "text", "heading of the page (default: of the runs)"),
    replace(FORCE, help="overwrite a file that is no report of botan_fast"),
    PRECISION,
    *READING,
    WINDOWS,
    DEVICE,
    THREADS,
    QUIET,
)
"""`botan-fast report`: the arguments of `write_report`, and threads."""
