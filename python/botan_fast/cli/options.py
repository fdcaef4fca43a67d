"""Options that several commands share."""

from ..errors import InputError
from .parser import _Parser

DATA_HELP = "data sets, other files, or quoted glob patterns such as 'data/*.npz'"


def _add_common(parser: _Parser) -> None:
    add = parser.add_argument
    add("--box", type=float, nargs="+", metavar="L", help="edge of the periodic box, or one number for each axis")
    add("--density", type=float, help="number density of a cubic box (default: the file's box; authors' npz: 1.2)")
    add("--temperature", type=float, nargs="+", metavar="T", help="which of the data's temperatures to take")
    add("--time", type=float, nargs="+", metavar="T", help="which of the data's times to take")
    add("--device", help="cpu, cuda, ... (default: cuda where torch finds it)")
    add("--threads", type=int, metavar="N", help="CPU threads (default: torch's choice)")
    add("--quiet", action="store_true", help="no progress on standard error")


def _in_order(data: list[str]) -> list[str]:
    """Files in natural order, whether the shell expanded a pattern (1, 10, 2) or botan_fast does."""
    from ..files import natural_key

    return sorted(data, key=natural_key)


def _box(arguments):
    if arguments.box is None:
        return None
    return arguments.box[0] if len(arguments.box) == 1 else arguments.box


def _device(arguments):
    from ..device import choose_device

    return choose_device(arguments.device)


def _set_threads(arguments) -> None:
    if arguments.threads is None:
        return
    if arguments.threads < 1:
        raise InputError(f"--threads = {arguments.threads}; give a whole number of at least 1")
    import torch

    torch.set_num_threads(arguments.threads)
