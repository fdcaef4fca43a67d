"""A command with a time limit, whose output is seen and kept as it comes."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from benchmarks.gpu.commands import ROOT

GRACE = 5.0  # seconds between two requests to end, the second more urgent
TEST = re.compile(r"^(\S+::\S.*?) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b")


class Ended(NamedTuple):
    """How a command ended."""

    status: int  # of its exit; negative: the signal
    seconds: float
    timed_out: bool

    @property
    def word(self) -> str:
        """For the table and the record."""
        return "stopped at its limit" if self.timed_out else "passed" if self.status == 0 else "failed"


def run_limited(command: list[str], limit: float, log: Path, environment: Mapping[str, str] | None = None) -> Ended:
    """Run a command in a process group of its own, which is killed after `limit` seconds.

    Standard output and error go to the screen and into `log`, line by line.
    """
    start = monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    variables = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    with log.open("w", encoding="utf-8") as file:
        reader = threading.Thread(target=_copy, args=(process.stdout, file), daemon=True)
        reader.start()
        try:
            process.wait(timeout=limit)
            timed_out = False
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:  # also when this process is interrupted; what the command left running ends with it
            _end(process)
        reader.join(timeout=GRACE)
    return Ended(process.returncode, monotonic() - start, timed_out)


def _copy(lines, file) -> None:
    for line in lines:
        sys.stdout.write(line)
        sys.stdout.flush()
        file.write(line)
        file.flush()


def _end(process: subprocess.Popen) -> None:
    """End the process and all of its group."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):  # pytest tells what failed when it is interrupted
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:  # nobody is left
            break
        try:
            process.wait(timeout=GRACE)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def test_results(log: str) -> dict:
    """What the lines of `pytest -v` say, those of a run that was stopped too: passed, failed, and the test it was in.

    >>> test_results('''tests/gpu/test_a.py::test_x[1-True] PASSED   [ 33%]
    ... tests/gpu/test_a.py::test_y FAILED    [ 66%]
    ... tests/gpu/test_a.py::test_z''')
    {'passed': 1, 'failed': ['tests/gpu/test_a.py::test_y'], 'running': 'tests/gpu/test_a.py::test_z'}
    """
    results = [(match[1], match[2]) for line in log.splitlines() if (match := TEST.match(line))]
    last = log.splitlines()[-1].strip() if log.strip() else ""
    return {
        "passed": sum(word == "PASSED" for _, word in results),
        "failed": [name for name, word in results if word in ("FAILED", "ERROR")],
        "running": last if "::" in last and not TEST.match(last) and last.startswith("tests/") else None,
    }
