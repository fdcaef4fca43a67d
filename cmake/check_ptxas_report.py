"""Reads ptxas' reports of a build of the CUDA kernels and fails where a kernel spills registers.

    python cmake/check_ptxas_report.py BUILD_DIRECTORY [--architectures 80,90] [--table]

Prints one line per architecture: kernels, most registers, spills. --architectures: those that may not spill (default:
all in the reports; of the others the line counts the spills). --table lists every kernel.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

ENTRY = re.compile(r"Compiling entry function '(\w+)' for '(\w+)'")
SPILLS = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
REGISTERS = re.compile(r"Used (\d+) registers")
SHARED = re.compile(r"(\d+) bytes smem")


def kernels(text: str) -> list[dict]:
    """One dict per kernel and architecture of a report: name, architecture, stack, spills, registers, shared.

    >>> kernels('''ptxas info    : Compiling entry function '_Z1fv' for 'sm_90'
    ... ptxas info    : Function properties for _Z1fv
    ...     8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads
    ... ptxas info    : Used 32 registers, used 1 barriers, 1024 bytes smem''')
    [{'name': '_Z1fv', 'architecture': 'sm_90', 'stack': 8, 'spills': 16, 'registers': 32, 'shared': 1024}]
    """
    found = []
    for line in text.splitlines():
        if entry := ENTRY.search(line):
            found.append({"name": entry[1], "architecture": entry[2]})
        elif not found:
            continue
        elif (spills := SPILLS.search(line)) and "spills" not in found[-1]:  # later ones are of called functions
            found[-1] |= {"stack": int(spills[1]), "spills": int(spills[2]) + int(spills[3])}
        elif registers := REGISTERS.search(line):
            shared = SHARED.search(line)
            found[-1] |= {"registers": int(registers[1]), "shared": int(shared[1]) if shared else 0}
    return found


def readable(name: str) -> str:
    if not shutil.which("c++filt"):
        return name
    return subprocess.run(["c++filt", name], capture_output=True, text=True, check=True).stdout.strip()


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("--architectures", default="", help="those that may not spill: 80,90")
    parser.add_argument("--table", action="store_true", help="list every kernel")
    options = parser.parse_args(arguments)
    reports = sorted(options.build.rglob("*.ptxas.txt"))
    found = [kernel for report in reports for kernel in kernels(report.read_text())]
    if not found:
        print(f"{options.build} holds no report of ptxas; were the CUDA kernels built there?", file=sys.stderr)
        return 1
    for architecture in sorted({kernel["architecture"] for kernel in found}):
        these = [kernel for kernel in found if kernel["architecture"] == architecture]
        most, spilling = max(kernel["registers"] for kernel in these), sum(kernel["spills"] > 0 for kernel in these)
        print(f"{architecture}: {len(these)} kernels, at most {most} registers, {spilling} with spills")
    strict = {f"sm_{number}" for number in options.architectures.split(",") if number}
    if missing := strict - {kernel["architecture"] for kernel in found}:
        print(f"no kernel was compiled for {', '.join(sorted(missing))}", file=sys.stderr)
        return 1
    bad = [kernel for kernel in found if kernel["spills"] and (not strict or kernel["architecture"] in strict)]
    for kernel in found if options.table else bad:
        print(
            f"{kernel['architecture']}  {kernel['registers']:3} registers  {kernel['spills']:4} bytes of spills  "
            f"{kernel['stack']:4} stack  {kernel['shared']:6} shared  {readable(kernel['name'])}"
        )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
