"""README's table from a result file: `python -m benchmarks.report [FILE]`; with --check, compare only.

Without FILE the newest result is written, and the one that README names is checked.
"""

import argparse
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- benchmark:begin -->", "<!-- benchmark:end -->"
PARTICLES = 4096  # the size that README shows, where the file has it
OPERATIONS = {
    "training_step": "training step",
    "inference": "inference",
    "processor_forward": "message passing, forward",
    "processor_backward": "message passing, backward",
    "edge_encoder": "edge encoder, forward and backward",
    "edge_decoder": "edge decoder, forward and backward",
    "loading": "file to graph and targets",
    "build_graph": "graph, sorted, with opposite edges",
    "neighbor_list": "neighbour list",
    "targets": "targets from 32 runs",
}
MEMORY = {
    "training_step": "peak memory, training step",
    "inference": "peak memory, inference",
    "loading": "peak memory, file to graph and targets",
}
OTHERS = {
    "split": "split weights in torch",
    "split_compiled": "split weights, `torch.compile`",
    "vesin": "vesin",
    "vesin_sorted": "vesin, sorted",
    "matscipy": "matscipy",
}
SIMD = {"avx512_bf16": "AVX-512", "avx512": "AVX-512", "avx2": "AVX2"}


def table(record: dict, name: str) -> str:
    """The lines between README's markers, for a record and the name of its file."""
    sizes = sorted({t["particles"] for t in record["timings"]})
    size = PARTICLES if PARTICLES in sizes else sizes[0]
    lines = [
        "| | authors' sequence | others (their time / ours) | botan_fast | authors' / ours | of the floor |",
        "|---|---|---|---|---|---|",
    ]
    timings = [t for t in record["timings"] if t["particles"] == size and t["operation"] in OPERATIONS]
    lines += rows(timings, OPERATIONS, "median", duration)
    lines += rows([m for m in record["memory"] if m["particles"] == size], MEMORY, "peak_bytes", amount)
    return "\n".join([*lines, "", caption(record, timings, size, name)])


def rows(entries: list[dict], titles: dict[str, str], value: str, show) -> list[str]:
    lines = []
    for operation, title in titles.items():
        found = {entry["implementation"]: entry for entry in entries if entry["operation"] == operation}
        if "botan_fast" not in found:
            continue
        ours = found["botan_fast"][value]
        theirs = found["authors"][value] if "authors" in found else None
        others = "; ".join(
            f"{label} {show(found[key][value])} ({ratio(found[key][value] / ours)})"
            for key, label in OTHERS.items()
            if key in found
        )
        fraction = found["botan_fast"].get("fraction_of_floor")
        cells = [
            title,
            "" if theirs is None else show(theirs),
            others,
            show(ours),
            "" if theirs is None else f"**{ratio(theirs / ours)}**",
            "" if fraction is None else f"{100 * fraction:.0f} %",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def caption(record: dict, timings: list[dict], size: int, name: str) -> str:
    machine, versions, ceilings = record["machine"], record["versions"], record["ceilings"]
    rounds = [t["rounds"] for t in timings]
    spread = f"{min(rounds)} to {max(rounds)}" if min(rounds) < max(rounds) else rounds[0]
    origin = {"synthetic": "a synthetic configuration", "file": "a configuration of the authors' data"}
    simd = SIMD.get(machine["simd"], machine["simd"])
    commit = (record["commit"] or "unknown")[:7] + ("+changes" if (record["commit"] or "").endswith("+changes") else "")
    return (
        f"Medians of {spread} rounds, {origin[timings[0]['input']]} of {size:,} particles and "
        f"{timings[0]['edges']:,} directed edges, {record['threads']} threads of {machine['cpu']} "
        f"({machine['cores']} cores, {simd}), torch {versions['torch']}, botan_fast {versions['botan_fast']} "
        f"at {commit}, {record['date']}. The floor is the arithmetic of the split-weight model at the rate of a large "
        f"float32 matrix product, {ceilings['matrix_product_flops_per_second'] / 1e9:.0f} GFLOP/s in the same run; "
        f"copying ran at {ceilings['copy_bytes_per_second'] / 1e9:.0f} GB/s. "
        f"From [{name}](benchmarks/results/{name})."
    )


def three_digits(value: float) -> str:
    return f"{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f}"


def duration(seconds: float) -> str:
    return f"{three_digits(seconds)} s" if seconds >= 0.9995 else f"{three_digits(1e3 * seconds)} ms"


def amount(num_bytes: float) -> str:
    return f"{three_digits(num_bytes / 1e9)} GB"


def ratio(value: float) -> str:
    return f"{value:.0f}×" if value >= 9.95 else f"{value:.1f}×"


def replaced(text: str, lines: str) -> str:
    """README's text with the lines between the markers."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        sys.exit(f"README must hold {BEGIN} and {END} once each, in that order")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{lines}\n{END}{rest.split(END)[1]}"


def choose(readme: str, results: Path, check: bool) -> Path:
    """The result that README names when it is checked, else the newest one."""
    named = re.search(r"\(benchmarks/results/([^)]+\.json)\)", readme)
    if check and named:
        return results / named[1]
    files = list(results.glob("*.json"))
    if not files:
        sys.exit(f"{results} holds no result; run python -m benchmarks.run")
    return max(files, key=lambda file: (json.loads(file.read_text())["date"], file.stat().st_mtime))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="result of benchmarks.run")
    parser.add_argument("--check", action="store_true", help="fail when README differs from what the file gives")
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    options = parser.parse_args(arguments)
    text = options.readme.read_text()
    path = options.file or choose(text, ROOT / "benchmarks" / "results", options.check)
    if not path.is_file():
        sys.exit(f"{path} does not exist; run python -m benchmarks.run, or name a result file")
    expected = replaced(text, table(json.loads(path.read_text()), path.name))
    if options.check:
        if text != expected:
            sys.exit(f"{options.readme} is not what {path.name} gives; run python -m benchmarks.report {path}")
    else:
        options.readme.write_text(expected)


if __name__ == "__main__":
    main()
