"""One worker of a pool, a process of its own: `python -m botan_fast.sweep ORDER`; see `pool`."""

import contextlib
import json
import os
import sys

from ..errors import BotanFastError
from .worker import work

__all__ = ["main"]


def main(order: str) -> int:
    """Bind this process to its cores, and work; 0 also after a signal, 2 after one line about what is wrong."""
    content = json.loads(order)
    if content["cores"]:
        with contextlib.suppress(OSError):  # cores that were taken away meanwhile: it works as well unbound
            os.sched_setaffinity(0, content["cores"])
    try:
        work(content["folder"], **content["options"])
    except BotanFastError as error:
        print(error, file=sys.stderr)
    except OSError as error:  # such as a full disk
        print(f"{error.filename or 'system'}: {error.strerror or error}", file=sys.stderr)
    else:
        return 0
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
