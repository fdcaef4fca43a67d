"""A result as a table for people."""

from collections.abc import Iterator
from typing import Any

__all__ = ["table"]

TITLES = {
    "build_graph": "graph",
    "targets": "targets from 32 runs",
    "inference": "inference",
    "training_step": "training step",
}


def table(record: dict[str, Any]) -> str:
    """The lines that `botan-fast bench` prints, for what `benchmark` or `benchmark_gpu` gives.

    >>> from botan_fast.bench.table import table
    >>> row = {"operation": "inference", "implementation": "botan_fast", "precision": "fp32", "captured": True,
    ...        "median": 3e-4, "fraction_of_floor": 0.9}
    >>> machine = {"cpu": "a CPU", "gpu": "a GPU", "cores": 2}
    >>> ceilings = {"copy": 3e12, "float32": 5e13, "tf32": 3e14, "bf16": 6e14}
    >>> print(table({"machine": machine, "versions": {"botan_fast": "0.1.0", "torch": "2.11.0"},
    ...     "threads": 2, "size": 4096, "edges": 166856, "ceilings": ceilings, "rows": [row]}).splitlines()[4])
    inference, fp32, CUDA graph         0.30 ms    1.80 ns            90 %
    """
    on_gpu = "gpu" in record["machine"]
    theirs = {r["operation"]: r["median"] for r in record["rows"] if r["implementation"] == "plain_torch"}
    width = 33 if on_gpu else 24
    share = "of the floor" if on_gpu else "of matrix rate"
    lines = [
        heading(record),
        f"{record['size']:,} particles, {record['edges']:,} directed edges, 7 steps, width 64; medians",
        "",
        f"{'':{width}}{'time':>10}{'per edge':>11}{share:>16}{'plain torch':>13}{'ratio':>8}",
    ]
    for r in record["rows"]:
        if r["implementation"] != "botan_fast":
            continue
        fraction = r.get("fraction_of_floor" if on_gpu else "fraction_of_matrix_rate")
        plain = theirs.get(r["operation"])
        ratio = "" if plain is None else f"{plain / r['median']:.1f}x"
        cells = [
            f"{title(r):{width}}",
            f"{duration(r['median']):>10}",
            f"{three_digits(1e9 * r['median'] / record['edges']) + ' ns':>11}",
            f"{'' if fraction is None else f'{100 * fraction:.0f} %':>16}",
            f"{'' if plain is None else duration(plain):>13}",
            f"{ratio:>8}",
        ]
        lines.append("".join(cells).rstrip())
    return "\n".join([*lines, "", *notes(record)])


def heading(record: dict[str, Any]) -> str:
    """Versions and the machine."""
    machine, versions = record["machine"], record["versions"]
    text = f"botan_fast {versions['botan_fast']}, torch {versions['torch']}; "
    cpu = f"{machine['cpu']}, {machine['cores']} cores"
    if "gpu" in machine:
        return f"{text}{machine['gpu']}; {cpu}"
    return f"{text}{cpu}, {machine['simd']}, {record['threads']} threads"


def title(row: dict[str, Any]) -> str:
    """What was timed: "training step, bf16, CUDA graph"."""
    parts = [TITLES[row["operation"]], row["precision"], "CUDA graph" if row.get("captured") else None]
    return ", ".join(part for part in parts if part)


def notes(record: dict[str, Any]) -> Iterator[str]:
    """Memory and ceilings, a line each."""
    on_gpu = "gpu" in record["machine"]
    for r in record["rows"]:
        if r.get("peak_bytes"):
            where = "of the device" if on_gpu else "in all"
            yield f"peak memory of a training step, {r['precision']}: {r['peak_bytes'] / 1e9:.2f} GB {where}"
    limits = record["ceilings"]
    if on_gpu:
        rates = ", ".join(f"{name} {limits[name] / 1e12:.3g}" for name in ("float32", "tf32", "bf16"))
        yield "the floor is the larger of the bytes that the kernels move at the rate of a copy, and arithmetic"
        yield f"copy: {limits['copy'] / 1e12:.3g} TB/s; large products: {rates} TFLOP/s"
    else:
        yield (
            f"matrix rate: {limits['matrix_product_flops_per_second'] / 1e9:.0f} GFLOP/s in a large float32 product; "
            f"copy: {limits['copy_bytes_per_second'] / 1e9:.0f} GB/s"
        )


def three_digits(value: float) -> str:
    return f"{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f}"


def duration(seconds: float) -> str:
    return f"{three_digits(seconds)} s" if seconds >= 0.9995 else f"{three_digits(1e3 * seconds)} ms"
