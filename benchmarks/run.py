"""Run the suite and write benchmarks/results/<device>-<date>.json: `python -m benchmarks.run`."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from benchmarks import machine
from benchmarks.memory import OPERATIONS
from botan_fast.bench.benchmark import PRECISIONS, measure_peak

CEILINGS = {"copy", "matrix_product"}
SIMD = ("avx2", "avx512")


def main(arguments=None) -> Path:
    options = parse(arguments)
    if options.simd and os.environ.get("BOTAN_FAST_SIMD") != options.simd:
        # Libraries choose their instructions once, when they are loaded: begin again.
        os.environ.update(narrower(options.simd))
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks.run", *(arguments or sys.argv[1:])])
    record = {"format": 1, **machine.describe(options.threads)}
    timings, failed = time_all(options)
    record |= summarize(timings)
    record["memory"] = [] if options.no_memory else measure_memory(record["timings"])
    record["profile"] = [] if options.no_profile else measure_profile(options)
    record["load_average_end"] = machine.describe(options.threads)["machine"]["load_average"]
    device = options.device or f"{machine.device(record['machine'])}-{record['machine']['cores']}-cores"
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / f"{device}-{record['date']}.json"
    machine.write_json(path, record)
    print(f"wrote {path}")
    print("the tables of README.md and docs: python -m benchmarks.report", path)
    if failed:
        sys.exit(f"some benchmarks did not pass, see above; {path.name} holds the others")
    return path


def narrower(simd: str) -> dict[str, str]:
    """The environment in which botan_fast, torch, its compiler and its libraries keep to one instruction set."""
    libraries = {"avx2": ("AVX2", "AVX2"), "avx512": ("AVX512", "AVX512_CORE")}[simd]
    return {
        "BOTAN_FAST_SIMD": simd,
        "ATEN_CPU_CAPABILITY": simd,  # torch and torch.compile
        "MKL_ENABLE_INSTRUCTIONS": libraries[0],
        "ONEDNN_MAX_CPU_ISA": libraries[1],
    }


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, help="timed rounds of everything (default: chosen by cost)")
    parser.add_argument("--particles", default="4096", help="particle numbers, separated by commas")
    parser.add_argument("--threads", type=int, help="default: torch's choice")
    parser.add_argument(
        "--simd",
        choices=SIMD,
        help="all, torch too, keeps to this instruction set: what a processor without wider ones would do",
    )
    parser.add_argument("--sizes", help="particle numbers of test_sizes, separated by commas")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="two rounds, two sizes, no large data or lists, no memory: a look in some minutes",
    )
    parser.add_argument("--implementations", help="only these, separated by commas")
    parser.add_argument("-k", dest="expression", help="only tests that match, as in pytest")
    parser.add_argument("--no-memory", action="store_true", help="leave out peak memory")
    parser.add_argument("--no-profile", action="store_true", help="leave out the profile of a training step")
    parser.add_argument("--device", help="first part of the file name (default: from the CPU's model)")
    parser.add_argument("--output", type=Path, default=machine.RESULTS, help="folder of the result file")
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds = options.rounds or 2
        options.sizes = options.sizes or "512,8192"
        options.no_memory = True
    return options


def time_all(options) -> tuple[list[dict], bool]:
    """Run pytest on this folder: the entries of pytest-benchmark's JSON, and whether anything failed."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "benchmark.json"
        command = [sys.executable, "-m", "pytest", "benchmarks", "--benchmark-only", "-q", "-p", "no:cacheprovider"]
        command += ["--benchmark-columns=min,median,iqr,rounds", f"--benchmark-json={path}"]
        command += [f"--particles={options.particles}"]
        for name in ("rounds", "threads", "implementations", "sizes"):
            if getattr(options, name):
                command.append(f"--{name}={getattr(options, name)}")
        if options.expression:
            command += ["-k", f"({options.expression}) or test_machine"]
        elif options.quick:
            command += ["--ignore=benchmarks/test_dataset.py", "-k", "not sweep"]
        status = subprocess.run(command, cwd=machine.ROOT).returncode
        entries = json.loads(path.read_text())["benchmarks"] if path.exists() and path.stat().st_size else []
        # One program that fails costs its own rows, not the quarter of an hour of the others.
        if status not in (0, 1) or {e["extra_info"]["operation"] for e in entries} <= CEILINGS:
            sys.exit(f"the benchmarks did not pass (pytest status {status}); nothing was written")
        return entries, status != 0


def summarize(benchmarks: list[dict]) -> dict:
    """ceilings, timings and ratios from the entries of pytest-benchmark."""
    timings = []
    for entry in benchmarks:
        facts = dict(entry["extra_info"])
        stats = {key: entry["stats"][key] for key in ("median", "iqr", "min", "max", "rounds")}
        timings.append(facts | stats)
    # A ceiling is the best that the machine can do, hence the minimum of the times.
    best = {t["operation"]: t for t in timings if t["operation"] in CEILINGS}
    ceilings = {
        "copy_bytes_per_second": best["copy"]["bytes"] / best["copy"]["min"],
        "matrix_product_flops_per_second": best["matrix_product"]["flops"] / best["matrix_product"]["min"],
    }
    timings = [t for t in timings if t["operation"] not in best]
    for t in timings:
        if "flops" in t:
            # Whatever takes longer at its ceiling: the arithmetic, or the traffic where it is counted.
            arithmetic = t["flops"] / ceilings["matrix_product_flops_per_second"]
            floor = max(arithmetic, t.get("bytes", 0) / ceilings["copy_bytes_per_second"])
            t |= {"floor": floor, "fraction_of_floor": floor / t["median"]}
    return {"ceilings": ceilings, "timings": timings, "ratios": ratios(timings)}


def ratios(timings: list[dict]) -> list[dict]:
    """Median of each implementation over the median of botan_fast, same operation, size and threads."""

    def key(t):
        return t["operation"], t["particles"], t["threads"]

    ours = {key(t): t["median"] for t in timings if t["implementation"] == "botan_fast"}
    return [
        {name: t[name] for name in ("operation", "particles", "threads", "implementation")}
        | {"over_botan_fast": t["median"] / ours[key(t)]}
        for t in timings
        if t["implementation"] != "botan_fast" and key(t) in ours
    ]


def measure_memory(timings: list[dict]) -> list[dict]:
    """Peak memory of everything that was timed, each in a fresh process."""
    found = []
    for t in timings:
        facts = {name: t[name] for name in ("operation", "implementation", "particles", "threads")}
        if t["operation"] == "training_step_by_size":
            found.append(facts | {"peak_bytes": measure_peak(t["particles"])})
        if t["operation"] not in OPERATIONS:
            continue
        command = [sys.executable, "-m", "benchmarks.memory", t["operation"], t["implementation"]]
        command += [f"--particles={t['particles']}", f"--threads={t['threads']}"]
        answer = subprocess.run(command, cwd=machine.ROOT, check=True, capture_output=True, text=True).stdout
        found.append(facts | json.loads(answer.splitlines()[-1]))
        print(f"{found[-1]['peak_bytes'] / 1e9:6.2f} GB  {t['operation']}, {t['implementation']}, N = {t['particles']}")
    return found


def measure_profile(options) -> list[dict]:
    """Parts of a training step, with all threads and with one, in each precision."""
    found = []
    for precision in PRECISIONS:
        for threads in sorted({options.threads or torch.get_num_threads(), 1}, reverse=True):
            command = [sys.executable, "-m", "benchmarks.profile", f"--threads={threads}", f"--precision={precision}"]
            if options.rounds:
                command.append(f"--rounds={options.rounds}")
            answer = subprocess.run(command, cwd=machine.ROOT, check=True, capture_output=True, text=True).stdout
            found.append(json.loads(answer.splitlines()[-1]))
    return found


if __name__ == "__main__":
    main()
