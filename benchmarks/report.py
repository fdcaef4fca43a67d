"""The tables of README.md and docs/performance.md from a result file: `python -m benchmarks.report [FILE]`.

Without FILE those of docs/scores.md too, which `benchmarks/scores.py` makes.

With --check, compare only. Without FILE the newest result is written, and the one that each file names is checked.
README has a few rows, the page all of them. The table of AVX2 is made from a result of `python -m benchmarks.run --simd
avx2`, or of such a processor.
README's table of a GPU is made from a file of `botan-fast bench --device cuda` in benchmarks/results/gpu.
"""

import argparse
import itertools
import json
import re
import sys
from pathlib import Path

from benchmarks import scores
from benchmarks.gpu import table as gpu
from benchmarks.machine import RESULTS, ROOT
from botan_fast.bench.table import duration, three_digits

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
    "pyg": "PyTorch Geometric",
    "split": "split weights in torch",
    "split_compiled": "split weights, `torch.compile`",
    "vesin": "vesin",
    "vesin_sorted": "vesin, sorted",
    "matscipy": "matscipy",
}
OURS = {"botan_fast": "", "botan_fast_bf16": ", bf16"}
NARROW = "avx2"  # the mark of the table of processors with AVX2 alone
SHORT = ("training_step", "inference", "loading", "build_graph")  # what README shows
NARROW_OPERATIONS = {name: OPERATIONS[name] for name in ("training_step", "inference")}
SIMD = {"avx512": "AVX-512", "avx512_bf16": "AVX-512 with bfloat16", "avx2": "AVX2"}
THREADS = {
    "training_step_by_threads": "training step",
    "inference_by_threads": "inference",
    "build_graph_by_threads": "graph",
    "targets_by_threads": "targets",
    "matrix_product_by_threads": "large matrix product (torch)",
}
PARTS = {
    "forward: edge_forward": "forward: edges (gather, both products, incoming sum)",
    "forward: linear": "forward: nodes, and c = W0 e0 + b1",
    "forward: encoder_forward": "forward: encoders",
    "forward: decoder_forward": "forward: decoders",
    "forward: outside of kernels": "forward: outside of kernels",
    "loss": "loss",
    "backward: edge_backward": "backward: edges",
    "backward: edge_input_gradient": "backward: the gradient of e after the first step",
    "backward: gather_sum": "backward: sum over outgoing edges",
    "backward: linear": "backward: nodes, and the gradient of e0",
    "backward: weight_gradient": "backward: weights of nodes and of W0",
    "backward: column_sum": "backward: biases",
    "backward: encoder_backward": "backward: encoders",
    "backward: decoder_backward": "backward: decoders",
    "backward: outside of kernels": "backward: outside of kernels",
    "clip": "clipping of the gradient",
    "Adam": "Adam",
}


def is_narrow(record: dict) -> bool:
    return record["machine"].get("simd") == "avx2"


def short_table(record: dict, name: str) -> str:
    """README's lines: our times beside the authors' for a few operations. What others need: the full table."""
    lines = ["| | authors' sequence | botan_fast | |", "|---|---|---|---|"]
    timings = [t for t in record["timings"] if t["particles"] == PARTICLES]
    memory = [m for m in record["memory"] if m["particles"] == PARTICLES]
    for row in (
        *rows(timings, {name: OPERATIONS[name] for name in SHORT}, "median", duration),
        *rows(memory, {"training_step": MEMORY["training_step"]}, "peak_bytes", amount),
    ):
        title, theirs, _, ours, times, _ = (cell.strip() for cell in row.strip("|").split("|"))
        lines.append(f"| {title} | {theirs} | {ours} | {times} |")
    source = f"{machine_line(record)}, {record['date']}: [result](benchmarks/results/{name})"
    return "\n".join([*lines, "", f"{source}; others, AVX2, the floor: [performance](docs/performance.md#all-times)."])


def table(record: dict, name: str) -> str:
    """The lines of the page, for a record and the name of its file."""
    operations = NARROW_OPERATIONS if is_narrow(record) else OPERATIONS
    sizes = sorted({t["particles"] for t in record["timings"]})
    size = PARTICLES if PARTICLES in sizes else sizes[0]
    lines = [
        "| | authors' sequence | others (their time / ours) | botan_fast | authors' / ours | of the floor |",
        "|---|---|---|---|---|---|",
    ]
    timings = [t for t in record["timings"] if t["particles"] == size and t["operation"] in operations]
    lines += rows(timings, operations, "median", duration)
    if not is_narrow(record):
        lines += rows([m for m in record["memory"] if m["particles"] == size], MEMORY, "peak_bytes", amount)
    return "\n".join([*lines, "", caption(record, timings, size, name)])


def rows(entries: list[dict], titles: dict[str, str], value: str, show) -> list[str]:
    lines = []
    for operation, precision in ((operation, name) for operation in titles for name in OURS):
        title = titles[operation] + OURS[precision]
        found = {entry["implementation"]: entry for entry in entries if entry["operation"] == operation}
        if precision not in found:
            continue
        ours = found[precision][value]
        theirs = found["authors"][value] if "authors" in found else None
        others = "; ".join(
            f"{label} {show(found[key][value])} ({ratio(found[key][value] / ours)})"
            for key, label in OTHERS.items()
            if key in found
        )
        # The floor is one of float32 arithmetic.
        fraction = found[precision].get("fraction_of_floor") if precision == "botan_fast" else None
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
    if machine.get("simd_forced"):
        simd += " alone, torch too, of the wider ones that it has"
    commit = (record["commit"] or "unknown")[:7] + ("+changes" if (record["commit"] or "").endswith("+changes") else "")
    return (
        f"Medians of {spread} rounds, {origin[timings[0]['input']]} of {size:,} particles and "
        f"{timings[0]['edges']:,} directed edges, {record['threads']} threads of {machine['cpu']} "
        f"({machine['cores']} cores, {simd}), torch {versions['torch']}, botan_fast {versions['botan_fast']} "
        f"at {commit}, {record['date']}. The floor is the arithmetic of the split-weight model at the rate of a large "
        f"float32 matrix product, {ceilings['matrix_product_flops_per_second'] / 1e9:.0f} GFLOP/s in the same run; "
        f"copying ran at {ceilings['copy_bytes_per_second'] / 1e9:.0f} GB/s. "
        f"From [{name}](../benchmarks/results/{name})."
    )


def amount(num_bytes: float) -> str:
    return f"{three_digits(num_bytes / 1e9)} GB"


def ratio(value: float) -> str:
    return f"{value:.0f}×" if value >= 9.95 else f"{value:.1f}×"


def machine_line(record: dict) -> str:
    machine = record["machine"]
    return f"{record['threads']} threads of {machine['cpu']} ({SIMD.get(machine['simd'], machine['simd'])})"


def threads_table(record: dict, name: str) -> str:
    lines = ["| | threads | 1 thread | all threads | speed-up |", "|---|---|---|---|---|"]
    for operation, title in THREADS.items():
        for t in record["timings"]:
            if t["operation"] == operation:
                one, all_threads = duration(t["one_thread_median"]), duration(t["median"])
                lines.append(f"| {title} | {t['threads']} | {one} | {all_threads} | {t['speedup']:.2f}× |")
    return "\n".join([*lines, "", f"N = 4,096, {machine_line(record)}; medians, rounds alternate. From {name}."])


def sizes_table(record: dict, name: str) -> str:
    def by_size(entries, operation):
        return {t["particles"]: t for t in entries if t["operation"] == f"{operation}_by_size"}

    steps, inferences = by_size(record["timings"], "training_step"), by_size(record["timings"], "inference")
    memory = by_size(record["memory"], "training_step")
    lines = [
        "| N | edges | training step | per edge | over N = 4,096 | of the floor | peak memory | inference | per edge "
        "| over N = 4,096 |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for size in sorted(steps.keys() & inferences.keys()):
        step, inference = steps[size], inferences[size]
        cells = [f"{size:,}", f"{step['edges']:,}", *per_edge(step), f"{100 * step['fraction_of_floor']:.0f} %"]
        cells += [amount(memory[size]["peak_bytes"]) if size in memory else "", *per_edge(inference)]
        lines.append("| " + " | ".join(cells) + " |")
    note = "per-edge times over those of N = 4,096 in rounds that alternate; memory is that of a whole process."
    return "\n".join([*lines, "", f"{machine_line(record)}; medians, {note} From {name}."])


def per_edge(t: dict) -> list[str]:
    return [duration(t["median"]), f"{three_digits(1e6 * t['per_edge'])} µs", f"{t['over_reference']:.2f}"]


def profile_table(record: dict, name: str) -> str:
    """One column for the share and one for the time of each profile in the record."""
    profiles = record["profile"]
    heads = [f"{p['precision']}, {p['threads']} thread{'s' if p['threads'] > 1 else ''}" for p in profiles]
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    keys = [key for key in PARTS if any(key in p["parts"] for p in profiles)]
    keys += [key for p in profiles for key in p["parts"] if key not in PARTS and key not in keys]
    for key in dict.fromkeys(keys):
        cells = []
        for p in profiles:
            seconds = p["parts"].get(key)
            cells.append("" if seconds is None else f"{duration(seconds)} ({100 * seconds / p['wall']:.1f} %)")
        lines.append(f"| {PARTS.get(key, key)} | " + " | ".join(cells) + " |")
    lines.append("| **all** | " + " | ".join(f"**{duration(p['wall'])}**" for p in profiles) + " |")
    return "\n".join([*lines, "", f"N = {profiles[0]['particles']:,}, {machine_line(record)}; medians. From {name}."])


def blocks(record: dict, name: str) -> dict[str, dict[str, str]]:
    """Marker and text of what each file shows, as far as the record has it."""
    shown = {t["operation"] for t in record["timings"]}
    link = f"[{name}](../benchmarks/results/{name})"
    performance = {"operations": table(record, name)} if "training_step" in shown else {}
    if shown & set(THREADS):
        performance["threads"] = threads_table(record, link)
    if {"training_step_by_size", "inference_by_size"} <= shown:
        performance["sizes"] = sizes_table(record, link)
    if record.get("profile"):
        performance["profile"] = profile_table(record, link)
    if is_narrow(record):
        kept = ("operations", "profile")
        performance = {f"{marker}-{NARROW}": lines for marker, lines in performance.items() if marker in kept}
    readme = {"benchmark": short_table(record, name)} if "training_step" in shown and not is_narrow(record) else {}
    return {"README.md": readme, "docs/performance.md": performance}


def replaced(text: str, marker: str, lines: str, file="README") -> str:
    """The text with the lines between the two marks."""
    begin, end = f"<!-- {marker}:begin -->", f"<!-- {marker}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        sys.exit(f"{file} must hold {begin} and {end} once each, in that order")
    before, rest = text.split(begin)
    return f"{before}{begin}\n{lines}\n{end}{rest.split(end)[1]}"


def choose(text: str, results: Path, check: bool, narrow: bool = False) -> Path | None:
    """The result that the text names when it is checked, else the newest one; of AVX2 alone if `narrow`, or None."""
    # those of benchmarks.run; a result of benchmarks.gpu.check has a device instead of a machine
    records = {file: json.loads(file.read_text()) for file in results.glob("*.json")}
    files = [file for file, r in records.items() if "machine" in r and is_narrow(r) == narrow]
    if check:
        for name in re.findall(r"\((?:\.\./)?benchmarks/results/([^)/]+\.json)\)", text):
            if results / name not in records or results / name in files:
                return results / name
    if narrow and not files:
        return None
    if not files:
        sys.exit(f"{results} holds no result; run python -m benchmarks.run")
    return max(files, key=lambda file: (json.loads(file.read_text())["date"], file.stat().st_mtime))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, help="result of benchmarks.run, or of botan-fast bench on a GPU")
    parser.add_argument("--check", action="store_true", help="fail when a table differs from what the file gives")
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of README.md and docs/performance.md")
    options = parser.parse_args(arguments)
    if options.file and not options.file.is_file():
        sys.exit(f"{options.file} does not exist; run python -m benchmarks.run, or name a result file")
    of_gpu = options.file is not None and gpu.is_of_gpu(json.loads(options.file.read_text()))
    for file, narrow in itertools.product(() if of_gpu else ("README.md", "docs/performance.md"), (False, True)):
        if options.file is None:
            path = choose((options.root / file).read_text(), RESULTS, options.check, narrow)
        elif is_narrow(json.loads(options.file.read_text())) == narrow:
            path = options.file
        else:
            continue
        if path is None:  # nobody has measured that yet
            continue
        if not path.is_file():
            sys.exit(f"{path} does not exist; run python -m benchmarks.run, or name a result file")
        settle(options, file, blocks(json.loads(path.read_text()), path.name)[file], path)
    if of_gpu or options.file is None:
        measured = options.file or gpu.choose((options.root / "README.md").read_text(), RESULTS, options.check)
        settle(options, "README.md", {gpu.MARKER: gpu.block(measured)}, measured)
    of_models = RESULTS / scores.PLACE
    if options.file is None and of_models.is_file() and (options.root / scores.PAGE).is_file():
        settle(options, scores.PAGE, scores.blocks(of_models), of_models)


def settle(options, file: str, marked: dict[str, str], path: Path | None):
    """Write the blocks of a file, or compare them."""
    text = expected = (options.root / file).read_text()
    for marker, lines in marked.items():
        expected = replaced(expected, marker, lines, file)
    if options.check and text != expected:
        name = "benchmarks/results/gpu" if path is None else path.name
        sys.exit(f"{file} is not what {name} gives; run python -m benchmarks.report {path or ''}".rstrip())
    if not options.check:
        (options.root / file).write_text(expected)


if __name__ == "__main__":
    main()
