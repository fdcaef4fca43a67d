"""README's table of a GPU, from a file of `botan-fast bench --device cuda --json FILE`."""

import json
import re
from pathlib import Path

from botan_fast.bench.table import duration, three_digits, title

MARKER = "gpu"
FOLDER = "gpu"  # of benchmarks/results
NOT_MEASURED = "Not measured on a GPU."
OPERATIONS = ("training_step", "inference", "build_graph", "targets")


def is_of_gpu(record: dict) -> bool:
    """Whether `botan-fast bench --device cuda` wrote it."""
    return "gpu" in record.get("machine", {}) and "rows" in record


def choose(text: str, results: Path, check: bool) -> Path | None:
    """The file that the text names when it is checked, else the newest one; None where nothing was measured."""
    named = re.search(rf"\(benchmarks/results/{FOLDER}/([^)/]+\.json)\)", text)
    if check and named:
        return results / FOLDER / named[1]
    found = {file: json.loads(file.read_text()) for file in (results / FOLDER).glob("*.json")}
    found = {file: record for file, record in found.items() if is_of_gpu(record)}
    return max(found, key=lambda file: (found[file]["date"], file.stat().st_mtime), default=None)


def block(path: Path | None) -> str:
    """The lines between README's marks."""
    return NOT_MEASURED if path is None else table(json.loads(path.read_text()), path.name)


def table(record: dict, name: str) -> str:
    """One line for each operation and precision: called as it is, and replayed as a CUDA graph."""
    rows = {(r["operation"], r["implementation"], r["precision"], r["captured"]): r for r in record["rows"]}
    plain = {operation: rows.get((operation, "plain_torch", "fp32", False)) for operation in OPERATIONS}
    lines = [
        "| | plain torch | botan_fast | as a CUDA graph | plain torch / ours | of the floor | edge-steps per second |",
        "|---|---|---|---|---|---|---|",
    ]
    for operation in OPERATIONS:
        for key, row in rows.items():
            if key[:2] != (operation, "botan_fast") or key[3]:
                continue
            replay = rows.get((*key[:3], True))
            best = min((r for r in (row, replay) if r is not None), key=lambda r: r["median"])
            theirs = plain[operation]
            fraction, speed = best.get("fraction_of_floor"), best.get("edge_steps_per_second")
            cells = [
                title(row),
                "" if theirs is None else duration(theirs["median"]),
                duration(row["median"]),
                "" if replay is None else duration(replay["median"]),
                "" if theirs is None else f"**{three_digits(theirs['median'] / best['median'])}×**",
                "" if fraction is None else f"{100 * fraction:.0f} %",
                "" if speed is None else f"{three_digits(speed / 1e9)} × 10⁹",
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", caption(record, name)])


def caption(record: dict, name: str) -> str:
    machine, versions, limits = record["machine"], record["versions"], record["ceilings"]
    peaks = {r["precision"]: r["peak_bytes"] for r in record["rows"] if r.get("peak_bytes")}
    memory = ", ".join(f"{three_digits(size / 1e9)} GB in {precision}" for precision, size in peaks.items())
    rates = ", ".join(f"{name} {limits[name] / 1e12:.3g}" for name in ("float32", "tf32", "bf16"))
    return (
        f"Medians, {record['size']:,} particles and {record['edges']:,} directed edges, {machine['gpu']}, torch "
        f"{versions['torch']}, botan_fast {versions['botan_fast']}, {record['date']}. A training step is forward, "
        "loss, gradients, clipping and Adam, written as a user would; `train` needs fewer launches"
        f"{f'. Peak memory of a step: {memory}' if memory else ''}. The floor is the larger "
        f"of the bytes that the kernels move at the rate of a copy, {limits['copy'] / 1e12:.3g} TB/s, and arithmetic "
        f"at that of large products ({rates} TFLOP/s in the same run). Edge-steps are edges times message-passing "
        f"steps. From [{name}](benchmarks/results/{FOLDER}/{name})."
    )
