"""Reads the machine code of a build of the CUDA kernels and fails where one that may begin early does not wait.

    python cmake/check_early_kernels.py BUILD_DIRECTORY [--architecture 90] [--table]

The rules are those of csrc/cuda/runtime/intrinsics.cuh, looked for in the order of the code: before the wait
(ACQBULK) no store to global memory and no atomic, no later kernel is let in (PREEXIT) before it, and no load counts
on memory that nobody writes (LDG...CONSTANT). --architecture reads that code alone, in less time; --table lists what
each kernel loads before its wait. Kernels without a wait, and code for devices before sm_90, are passed over; a build
in which none waits fails. Needs cuobjdump, of the CUDA toolkit.
"""

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

ARCHITECTURE = re.compile(r"code for (sm_\w+)")
FUNCTION = re.compile(r"Function : (\w+)")
INSTRUCTION = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\d\s+)?([A-Z][\w.]*)")
WRITES = ("STG", "ST.", "RED", "ATOM", "UBLKCP", "UTMA")
NO_CODE = "does not contain device code"
LOADS = ("LDG", "LD.", "LDGSTS")


def kernels(text: str) -> dict[str, list[str]]:
    """The instructions of every kernel and architecture of a disassembly, without operands.

    >>> kernels('''  code for sm_80
    ...     Function : _Z1fv
    ...     /*0000*/     EXIT ;
    ...   code for sm_90
    ...     Function : _Z1fv
    ...     /*0000*/     LDC R1, c[0x0][0x28] ;     /* 0x00000a00ff017b82 */
    ...     /*0010*/     @!P0 LDG.E R2, desc[UR4][R2.64] ;''')
    {'sm_80 _Z1fv': ['EXIT'], 'sm_90 _Z1fv': ['LDC', 'LDG.E']}
    """
    found: dict[str, list[str]] = {}
    instructions: list[str] = []
    architecture = ""
    for line in text.splitlines():
        if code := ARCHITECTURE.search(line):
            architecture = code[1]
        elif function := FUNCTION.search(line):
            instructions = found.setdefault(f"{architecture} {function[1]}".strip(), [])
        elif instruction := INSTRUCTION.search(line):
            instructions.append(instruction[1])
    return found


def faults(instructions: list[str]) -> list[str]:
    """What a kernel with a wait does wrong.

    >>> faults(["LDG.E", "STG.E", "ACQBULK", "PREEXIT", "STG.E"])
    ['STG.E before the wait']
    >>> faults(["STG.E", "EXIT"])
    []
    """
    if "ACQBULK" not in instructions:
        return []
    before = instructions[: instructions.index("ACQBULK")]
    found = [f"{i} before the wait" for i in before if i.startswith(WRITES) or i == "PREEXIT"]
    return found + [i for i in instructions if i.startswith("LDG") and i.endswith("CONSTANT")]


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("--architecture", type=int, help="compute capability whose code is read: 90 (default: all)")
    parser.add_argument("--table", action="store_true", help="list what each kernel loads before its wait")
    options = parser.parse_args(arguments)
    nvcc = shutil.which("nvcc")
    beside = [] if nvcc is None else [Path(nvcc).resolve().parent / "cuobjdump"]
    tools = [shutil.which("cuobjdump"), *(path for path in beside if path.exists())]
    tool = next((tool for tool in tools if tool), None)
    if tool is None:
        print("cuobjdump not found; it comes with the CUDA toolkit", file=sys.stderr)
        return 1
    only = [] if options.architecture is None else ["-arch", f"sm_{options.architecture}"]
    waiting = wrong = 0
    for path in sorted(options.build.rglob("*.o")):
        done = subprocess.run([tool, "-sass", *only, str(path)], capture_output=True, text=True)
        if NO_CODE in done.stdout + done.stderr:  # an object of the CPU, for which the status is an error's, too
            continue
        if done.returncode != 0:
            print(f"{path}: cuobjdump ends with status {done.returncode}: {done.stderr.strip()}", file=sys.stderr)
            return 1
        for name, instructions in kernels(done.stdout).items():
            if "ACQBULK" not in instructions:
                continue
            waiting += 1
            bad = faults(instructions)
            wrong += bool(bad)
            early = [i for i in instructions[: instructions.index("ACQBULK")] if i.startswith(LOADS)]
            if bad or options.table:
                print(f"{name}: {'; '.join(bad) or 'good'}; loads before the wait: {' '.join(early) or 'none'}")
    if waiting == 0:
        print("no kernel waits: the build has no code for sm_90 or later", file=sys.stderr)
        return 1
    print(f"{waiting} kernels wait for the one before, {wrong} of them wrongly")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
