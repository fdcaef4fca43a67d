"""Compiler launcher: runs nvcc and keeps what ptxas says of registers and spills beside the object.

usage: keep_ptxas_report.py nvcc ... -o OBJECT ...     writes OBJECT.ptxas.txt; all other lines go to stderr
"""

import subprocess
import sys

REPORT = ("ptxas info", "Function properties", "bytes stack frame", "bytes gmem")


def main(command):
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    lines = done.stderr.splitlines(keepends=True)
    report = [line for line in lines if any(words in line for words in REPORT)]
    sys.stderr.writelines(line for line in lines if line not in report)
    if report and "-o" in command:
        with open(command[command.index("-o") + 1] + ".ptxas.txt", "w", encoding="utf-8") as file:
            file.writelines(report)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
