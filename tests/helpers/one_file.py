"""Reads one file in a process of its own: `python -m tests.helpers.one_file KIND FILE`.

Prints, as JSON, what came out (`read`, or the message of the error), the seconds, and by how much the process grew at
its peak. Anything but success or a BotanFastError ends the process with a traceback.
"""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from botan_fast.errors import BotanFastError, DataError

ROOT = Path(__file__).parents[2]


def reader(kind: str) -> Any:
    """The function that reads a file of this kind: a configuration, a data set with all its arrays, a model."""
    if kind == "formats":
        from botan_fast.formats import read

        return read
    if kind == "model":
        from botan_fast.model.checkpoint import load_model

        return load_model
    from botan_fast import load_samples

    return lambda path: [sample.graph for sample in load_samples(path, require_targets=False)]


def report(kind: str, path: Any, timeout: float = 60) -> dict[str, Any]:
    """What a process of its own says about the file; AssertionError where it ends with a traceback or not at all."""
    command = [sys.executable, "-m", "tests.helpers.one_file", kind, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def message_of(path: Any) -> str:
    """The message of the DataError that reading the file raises at once: one printable line."""
    from botan_fast.formats import read

    start = time.process_time()
    with pytest.raises(DataError) as error:
        read(path)
    assert time.process_time() - start < 1
    text = str(error.value)
    assert "\n" not in text
    assert text.isprintable()
    return text


def main(kind: str, path: str) -> None:
    read = reader(kind)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    try:
        read(path)
        message = "read"
    except BotanFastError as error:
        message = str(error)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"message": message, "seconds": time.perf_counter() - start, "megabytes": grown / 1024}))


if __name__ == "__main__":
    main(*sys.argv[1:])
