"""Reads damaged files: `python -m tests.fuzz.worker KIND SEED FIRST LAST FOLDER MEGABYTES`; one line of JSON for each.

Mutation k of a kind depends on the seed and k alone, so a finding is made again by FIRST = k, LAST = k + 1.
"""

import json
import resource
import sys
import time
import traceback
import warnings
import zlib
from pathlib import Path

import numpy as np

from botan_fast.errors import BotanFastError
from tests.fuzz.files import Target, make
from tests.fuzz.mutations import mutate

__all__ = ["attempt", "mutation"]


def mutation(content: bytes, kind: str, seed: int, number: int) -> bytes:
    """The content of the file with damage `number`."""
    return mutate(content, np.random.default_rng([seed, zlib.crc32(kind.encode()), number]))


def attempt(target: Target, content: bytes) -> str:
    """'read', 'refused', or what went wrong."""
    target.path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            target.read()
        except BotanFastError as error:
            text = str(error)
            return "refused" if "\n" not in text and text.isprintable() else f"a message that is no line: {text!r}"
        except Exception:
            return traceback.format_exc()
    return "read"


def main(kind: str, seed: str, first: str, last: str, folder: str, megabytes: str) -> None:
    target = make(kind, Path(folder))
    whole = target.path.read_bytes()
    assert attempt(target, whole) == "read", attempt(target, whole)
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (int(megabytes) << 20),) * 2)
    for number in range(int(first), int(last)):
        start = time.perf_counter()
        found = attempt(target, mutation(whole, kind, int(seed), number))
        line = {"number": number, "found": found, "seconds": time.perf_counter() - start}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
