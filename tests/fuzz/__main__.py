"""`python -m tests.fuzz --seed 0 --mutations 10000 [--format NAME ...]`: damaged files of all kinds, and a report."""

import argparse
import json
import selectors
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.fuzz.files import KINDS

ROOT = Path(__file__).parents[2]


def fuzz(kind: str, seed: int, mutations: int, seconds: float, megabytes: int, first: int = 0) -> Counter:
    """How often the damaged files of a kind were read, refused, or made a finding; findings are printed."""
    counts: Counter = Counter()
    number, last = first, first + mutations
    while number < last:
        at = number
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as errors:
            command = [sys.executable, "-m", "tests.fuzz.worker", kind, str(seed), str(number), str(last), folder]
            with subprocess.Popen(
                [*command, str(megabytes)], cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True
            ) as worker:
                number, ended = _follow(worker, number, last, kind, seed, seconds, counts)
                worker.kill()
            if ended and number == at:
                errors.seek(0)
                raise SystemExit(f"{kind}: the whole file cannot be read: {errors.read()}")
            if ended and number < last:
                errors.seek(0)
                _finding(kind, seed, number, f"the process ended with {worker.returncode}: {errors.read()[-1000:]}")
                counts["finding"] += 1
                number += 1
    return counts


def _follow(
    worker: subprocess.Popen, number: int, last: int, kind: str, seed: int, seconds: float, counts: Counter
) -> tuple[int, bool]:
    """Count what a worker says until it ends or says nothing for too long: the next number, and did it end?"""
    assert worker.stdout is not None
    patience = 60.0  # for the imports
    with selectors.DefaultSelector() as ready:
        ready.register(worker.stdout, selectors.EVENT_READ)
        while number < last:
            if not ready.select(patience):
                _finding(kind, seed, number, f"no answer within {patience:g} seconds")
                counts["finding"] += 1
                return number + 1, False
            line = worker.stdout.readline()
            if not line:
                worker.wait()
                return number, True
            answer = json.loads(line)
            if answer["found"] in ("read", "refused"):
                counts[answer["found"]] += 1
            else:
                counts["finding"] += 1
                _finding(kind, seed, number, answer["found"])
            number, patience = number + 1, seconds
    return number, False


def _finding(kind: str, seed: int, number: int, text: str) -> None:
    print(f"-- {kind}, seed {seed}, mutation {number}\n{text.strip()}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mutations", type=int, default=10_000, help="of each format (10000)")
    parser.add_argument("--first", type=int, default=0, help="number of the first mutation: to see a finding again")
    parser.add_argument("--format", nargs="+", choices=KINDS, default=KINDS, metavar="NAME", help=", ".join(KINDS))
    parser.add_argument("--seconds", type=float, default=10, help="most for one file (10)")
    parser.add_argument("--megabytes", type=int, default=1000, help="most memory for one file (1000)")
    arguments = parser.parse_args()
    total: Counter = Counter()
    for kind in arguments.format:
        counts = fuzz(
            kind, arguments.seed, arguments.mutations, arguments.seconds, arguments.megabytes, arguments.first
        )
        print(f"{kind}: " + ", ".join(f"{counts[name]} {name}" for name in ("read", "refused", "finding")), flush=True)
        total += counts
    print(f"all: {total['read']} read, {total['refused']} refused, {total['finding']} findings")
    return 1 if total["finding"] else 0


if __name__ == "__main__":
    sys.exit(main())
