"""Everything that needs a GPU, in one run: build, tests, compute-sanitizer, benchmarks.

    python -m benchmarks.gpu.check [--only tests,sanitizer,benchmarks] [--no-build] [--select REGEX] [--output FILE]

Writes benchmarks/results/<device>-<date>.json after every benchmark and prints what was found beside the goals. What
fails is named at the end, does not stop the rest, and makes the exit status 1.
"""

import argparse
import datetime
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

STAGES = ("tests", "sanitizer", "benchmarks")
TESTS = [sys.executable, "-m", "pytest", "-q", "tests/gpu"]
# Tests of tests/gpu that are small enough for a slowdown of ten to a hundred; at least one of each kernel.
SANITIZED = (
    "(test_message_passing and test_processor and not 20000)"
    " or (test_message_passing and one_cuda_graph)"
    " or test_a_small_training_step"
    " or (test_loss and not 166484 and not 3000000)"
    " or (test_sums_and_gradients and (1000-300 or 20000-4))"
    " or (test_graph_and_pairs and (box0 or box1))"
    " or test_a_dense_cluster"
    " or test_targets"
)


def call(title: str, command: list[str]) -> bool:
    """Whether the command succeeds."""
    print(f"== {title}", flush=True)
    return subprocess.run(command, cwd=ROOT).returncode == 0


def run_tests() -> list[str]:
    """The tests on the GPU. Returns what failed, here and below."""
    title = "tests on the GPU"
    return [] if call(title, TESTS) else [title]


def run_sanitizer() -> list[str]:
    sanitizer = shutil.which("compute-sanitizer")
    if not sanitizer:
        print("== compute-sanitizer: NOT RUN, it is not installed")
        return []
    options = ["--error-exitcode", "1", "--target-processes", "all"]
    failed = []
    for tool in ("memcheck", "racecheck"):
        title = f"compute-sanitizer {tool}"
        if not call(title, [sanitizer, "--tool", tool, *options, *TESTS, "-k", SANITIZED]):
            failed.append(title)
    return failed


def run_benchmarks(
    machine, benchmarks: dict, output: Path | None, side: int = 8192, copied: int = 1 << 30
) -> list[str]:
    """Measures the ceilings, then each benchmark; writes and prints it all. Returns the names of those that failed."""
    from benchmarks.gpu.goals import compare, table
    from benchmarks.gpu.runner import run_all
    from benchmarks.machine import RESULTS, commit, slug, write_json

    print("== benchmarks", flush=True)
    today = datetime.date.today().isoformat()
    record = {**machine.describe(), "date": today, "commit": commit(), "ceilings": None}
    failed = []
    try:
        record["ceilings"] = machine.ceilings(copied, side)
    except Exception as error:  # then there is no fraction of the floor
        print(f"ceilings: ERROR: {error}")
        failed.append("ceilings")
    else:
        rates = (f"{name} {record['ceilings'][name] / 1e12:.3g} TFLOP/s" for name in ("float32", "tf32", "bf16"))
        print(f"ceilings: copy {record['ceilings']['copy'] / 1e12:.3g} TB/s, {', '.join(rates)}", flush=True)
    output = output or RESULTS / f"{slug(record['device'])}-{today}.json"

    def save(results: list[dict]):
        write_json(output, {**record, "goals": compare(results), "results": results})

    results = run_all(machine, benchmarks, record["ceilings"], save)
    print(table(compare(results)))
    print(f"wrote {output}")
    return failed + [result["name"] for result in results if "error" in result]


def all_benchmarks(select: str = "") -> dict:
    """Those whose name contains the regular expression; the networks first."""
    from benchmarks.gpu import graph, networks, sums

    found = networks.benchmarks() | sums.benchmarks() | graph.benchmarks()
    return {name: make for name, make in found.items() if re.search(select, name)}


def main(arguments=None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(STAGES), help="stages to run, of tests,sanitizer,benchmarks")
    parser.add_argument("--no-build", action="store_true", help="take the installed package")
    parser.add_argument("--select", default="", metavar="REGEX", help="benchmarks whose name contains it")
    parser.add_argument("--output", type=Path, help="the result file, else benchmarks/results/<device>-<date>.json")
    options = parser.parse_args(arguments)
    stages = options.only.split(",")
    for stage in stages:
        if stage not in STAGES:
            parser.error(f"--only {stage}: choose of {', '.join(STAGES)}")
    if not options.no_build:
        pip = [sys.executable, "-m", "pip", "install", "-q", "-C", "cmake.define.BOTAN_FAST_CUDA=ON", "."]
        if not call("build", pip):
            return 1
    import torch

    if not torch.cuda.is_available():
        print("torch sees no GPU", file=sys.stderr)
        return 1
    failed = run_tests() if "tests" in stages else []
    failed += run_sanitizer() if "sanitizer" in stages else []
    if "benchmarks" in stages:
        from benchmarks.gpu.machine import Machine

        failed += run_benchmarks(Machine(), all_benchmarks(options.select), options.output)
    print("failed: " + ", ".join(failed) if failed else "nothing failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
