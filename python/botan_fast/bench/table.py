"""A result as a table for people."""

__all__ = ["table"]

TITLES = {
    "build_graph": "graph",
    "targets": "targets from 32 runs",
    "inference": "inference",
    "training_step": "training step",
}


def table(record: dict) -> str:
    """The lines that `botan-fast bench` prints, for what `benchmark` gives."""
    machine, limits = record["machine"], record["ceilings"]
    theirs = {r["operation"]: r["median"] for r in record["rows"] if r["implementation"] == "plain_torch"}
    lines = [
        f"botan_fast {record['versions']['botan_fast']}, torch {record['versions']['torch']}; {machine['cpu']}, "
        f"{machine['cores']} cores, {machine['simd']}, {record['threads']} threads",
        f"{record['size']:,} particles, {record['edges']:,} directed edges, 7 steps, width 64; medians",
        "",
        f"{'':24}{'time':>10}{'per edge':>11}{'of matrix rate':>16}{'plain torch':>13}{'ratio':>8}",
    ]
    for r in record["rows"]:
        if r["implementation"] != "botan_fast":
            continue
        title = TITLES[r["operation"]] + (f", {r['precision']}" if r["precision"] else "")
        fraction = r.get("fraction_of_matrix_rate")
        plain = theirs.get(r["operation"])
        ratio = "" if plain is None else f"{plain / r['median']:.1f}x"
        cells = [
            f"{title:24}",
            f"{duration(r['median']):>10}",
            f"{three_digits(1e9 * r['median'] / record['edges']) + ' ns':>11}",
            f"{'' if fraction is None else f'{100 * fraction:.0f} %':>16}",
            f"{'' if plain is None else duration(plain):>13}",
            f"{ratio:>8}",
        ]
        lines.append("".join(cells).rstrip())
    lines.append("")
    for r in record["rows"]:
        if "peak_bytes" in r:
            lines.append(f"peak memory of a training step, {r['precision']}: {r['peak_bytes'] / 1e9:.2f} GB in all")
    lines.append(
        f"matrix rate: {limits['matrix_product_flops_per_second'] / 1e9:.0f} GFLOP/s in a large float32 product; "
        f"copy: {limits['copy_bytes_per_second'] / 1e9:.0f} GB/s"
    )
    return "\n".join(lines)


def three_digits(value: float) -> str:
    return f"{value:.{0 if value >= 99.95 else 1 if value >= 9.995 else 2}f}"


def duration(seconds: float) -> str:
    return f"{three_digits(seconds)} s" if seconds >= 0.9995 else f"{three_digits(1e3 * seconds)} ms"
