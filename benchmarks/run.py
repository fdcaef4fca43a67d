"""Run the suite and write benchmarks/results/<device>-<date>.json: `python -m benchmarks.run`."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from . import machine
from .memory import OPERATIONS

RESULTS = machine.ROOT / "benchmarks" / "results"


def main(arguments=None) -> Path:
    options = parse(arguments)
    record = {"format": 1, **machine.describe(options.threads)}
    timings = time_all(options)
    record |= summarize(timings)
    record["memory"] = [] if options.no_memory else measure_memory(record["timings"], options)
    record["load_average_end"] = machine.describe(options.threads)["machine"]["load_average"]
    device = options.device or f"{machine.slug(record['machine']['cpu'])}-{record['machine']['cores']}-cores"
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / f"{device}-{record['date']}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(f"wrote {path}")
    print("the table of README.md: python -m benchmarks.report", path)
    return path


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, help="timed rounds of everything (default: chosen by cost)")
    parser.add_argument("--particles", default="4096", help="particle numbers, separated by commas")
    parser.add_argument("--threads", type=int, help="default: torch's choice")
    parser.add_argument("--implementations", help="only these, separated by commas")
    parser.add_argument("-k", dest="expression", help="only tests that match, as in pytest")
    parser.add_argument("--no-memory", action="store_true", help="leave out peak memory")
    parser.add_argument("--device", help="first part of the file name (default: from the CPU's model)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder of the result file")
    return parser.parse_args(arguments)


def time_all(options) -> list[dict]:
    """Run pytest on this folder; the entries of pytest-benchmark's JSON."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "benchmark.json"
        command = [sys.executable, "-m", "pytest", "benchmarks", "--benchmark-only", "-q", "-p", "no:cacheprovider"]
        command += ["--benchmark-columns=min,median,iqr,rounds", f"--benchmark-json={path}"]
        command += [f"--particles={options.particles}"]
        for name in ("rounds", "threads", "implementations"):
            if getattr(options, name):
                command.append(f"--{name}={getattr(options, name)}")
        if options.expression:
            command += ["-k", f"({options.expression}) or test_machine"]
        finished = subprocess.run(command, cwd=machine.ROOT)
        if finished.returncode != 0:
            sys.exit(f"the benchmarks did not pass (pytest status {finished.returncode}); nothing was written")
        return json.loads(path.read_text())["benchmarks"]


def summarize(benchmarks: list[dict]) -> dict:
    """ceilings, timings and ratios from the entries of pytest-benchmark."""
    timings = []
    for entry in benchmarks:
        facts = dict(entry["extra_info"])
        stats = {key: entry["stats"][key] for key in ("median", "iqr", "min", "max", "rounds")}
        timings.append(facts | stats)
    # A ceiling is the best that the machine can do, hence the minimum of the times.
    best = {t["operation"]: t for t in timings if t["operation"] in ("copy", "matrix_product")}
    ceilings = {
        "copy_bytes_per_second": best["copy"]["bytes"] / best["copy"]["min"],
        "matrix_product_flops_per_second": best["matrix_product"]["flops"] / best["matrix_product"]["min"],
    }
    timings = [t for t in timings if t["operation"] not in best]
    for t in timings:
        if "flops" in t:
            floor = t["flops"] / ceilings["matrix_product_flops_per_second"]
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


def measure_memory(timings: list[dict], options) -> list[dict]:
    """Peak memory of everything that was timed, each in a fresh process."""
    found = []
    for t in timings:
        if t["operation"] not in OPERATIONS:
            continue
        facts = {name: t[name] for name in ("operation", "implementation", "particles", "threads")}
        command = [sys.executable, "-m", "benchmarks.memory", t["operation"], t["implementation"]]
        command += [f"--particles={t['particles']}", f"--threads={t['threads']}"]
        answer = subprocess.run(command, cwd=machine.ROOT, check=True, capture_output=True, text=True).stdout
        found.append(facts | json.loads(answer.splitlines()[-1]))
        print(f"{found[-1]['peak_bytes'] / 1e9:6.2f} GB  {t['operation']}, {t['implementation']}, N = {t['particles']}")
    return found


if __name__ == "__main__":
    main()
