"""The benchmarks of one stage, in a process that can be killed: what was measured before is in the file.

python -m benchmarks.gpu.measure {networks,training,several,operations} --output FILE [--select REGEX]
"""

import argparse
import datetime
import json
import re
import sys
from pathlib import Path

from benchmarks.gpu import graph, networks, several_models, sums, training
from benchmarks.gpu.goals import compare, table
from benchmarks.gpu.machine import Machine
from benchmarks.gpu.record import read_record, write_record
from benchmarks.gpu.runner import Benchmarks, run_all
from benchmarks.machine import commit

GROUPS = {
    "networks": networks.benchmarks,
    "training": training.benchmarks,
    "several": several_models.benchmarks,
    "operations": lambda: sums.benchmarks() | graph.benchmarks(),
}


def run_benchmarks(
    machine: Machine, benchmarks: Benchmarks, output: Path, side: int = 8192, copied: int = 1 << 30
) -> list[str]:
    """Measures the ceilings, then each benchmark; adds it all to the file. Returns the names of those that failed."""
    facts = {**machine.describe(), "date": datetime.date.today().isoformat(), "commit": commit(), "ceilings": None}
    failed = []
    try:
        facts["ceilings"] = machine.ceilings(copied, side)
    except Exception as error:  # then there is no fraction of the floor
        print(f"ceilings: ERROR: {error}")
        failed.append("ceilings")
    else:
        rates = (f"{name} {facts['ceilings'][name] / 1e12:.3g} TFLOP/s" for name in ("float32", "tf32", "bf16"))
        print(f"ceilings: copy {facts['ceilings']['copy'] / 1e12:.3g} TB/s, {', '.join(rates)}", flush=True)

    def save(results: list[dict]) -> list[dict]:
        """The file's other results stay; those of this run take the places of earlier ones. Returns the goals."""
        record = read_record(output)
        names = {result["name"] for result in results}
        kept = [result for result in record.get("results", []) if result["name"] not in names]
        goals = compare(kept + results)
        write_record(output, record | facts | {"goals": goals, "results": kept + results})
        return goals

    results = run_all(machine, benchmarks, facts["ceilings"], save)
    print(table(save(results)))
    return failed + [result["name"] for result in results if "error" in result]


def chosen(group: str, select: str = "") -> Benchmarks:
    """The benchmarks of a group whose name contains the regular expression."""
    return {name: make for name, make in GROUPS[group]().items() if re.search(select, name)}


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("group", choices=GROUPS)
    parser.add_argument("--output", type=Path, required=True, help="the result file; it is added to")
    parser.add_argument("--select", default="", metavar="REGEX", help="benchmarks whose name contains it")
    options = parser.parse_args(arguments)
    machine = Machine()
    other = read_record(options.output).get("device", machine.describe()["device"])
    if other != machine.describe()["device"]:
        print(f"{options.output} holds results of {other}; give another --output", file=sys.stderr)
        return 2
    failed = run_benchmarks(machine, chosen(options.group, options.select), options.output)
    if failed:
        print(f"failed: {json.dumps(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
