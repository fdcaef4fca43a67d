"""Scores of published weights: `python -m benchmarks.scores TEST...`, into benchmarks/results/accuracy/scores.json.

All of `evaluate` for the models that come with the package and for those of `--models`, on the test files TEST; and of
each file of `--runs` the largest Pearson coefficient that its number of runs allows. From the authors' sample
(github.com/h3-Open-BDEC/pyg_botan, `small_data` and `initial_model`):

    python -m benchmarks.scores 'T0.44/test/*.npz' --models initial_model/*.pth --runs 'T0.44/*/*.npz'

The tables of docs/scores.md are made from the file by `python -m benchmarks.report`.
"""

import argparse
import json
from pathlib import Path

import botan_fast as bf
from benchmarks import machine
from botan_fast.cli.scores_table import one_by_one
from botan_fast.evaluation.ceiling import largest_pearson, reliability

PLACE = "accuracy/scores.json"  # of benchmarks/results
SHIPPED = "ka-t0.44-tau"
PAGE = "docs/scores.md"


def ceilings(data: list[str]) -> list[dict]:
    """Of each configuration: type A, and what is behind the number."""
    rows = []
    for sample in bf.load_samples(data, halves=True):
        first, second = (half.targets.propensity[sample.graph.types == 0].numpy() for half in sample.halves)
        found = reliability(first, second, sample.num_runs)
        rows.append({"file": sample.name, "runs": sample.num_runs, "reliability": found})
        rows[-1]["ceiling"] = largest_pearson(found)
        print(f"{sample.name}: ceiling {rows[-1]['ceiling']:.4f}", flush=True)
    return rows


def main(argv: list[str] | None = None, results: Path = machine.RESULTS) -> Path:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="+", help="test files or patterns")
    parser.add_argument("--models", nargs="*", default=[], help="model files besides those of the package")
    parser.add_argument("--runs", nargs="*", help="files with runs, whose ceilings are wanted (default: TEST)")
    options = parser.parse_args(argv)
    record = {"format": 1, **machine.describe(), "data": [sample.name for sample in bf.load_samples(options.data)]}
    record["scores"] = {}
    for model in (SHIPPED, *options.models):
        scores = bf.evaluate(model, options.data)
        record["scores"][Path(model).name] = scores
        print(f"{Path(model).name}: node {scores['node_pearson']:.4f}, edge {scores['edge_pearson']:.4f}", flush=True)
    record["ceilings"] = ceilings(options.runs or options.data)
    path = results / PLACE
    path.parent.mkdir(parents=True, exist_ok=True)
    machine.write_json(path, record)
    print(f"wrote {path}")
    return path


def blocks(path: Path) -> dict[str, str]:
    """What stands between the marks of docs/scores.md."""
    record = json.loads(path.read_text())
    return {"scores": printed(record), "published-scores": table(record), "ceilings": of_runs(record)}


def printed(record: dict) -> str:
    """The lines that `botan-fast evaluate` prints of the package's model, one by one."""
    lines = [line for line in one_by_one(record["scores"][SHIPPED]) if line]
    shown = [f"    {line}" for line in lines]
    return "\n".join(["", *shown, "", f"From {source(record)}."])


def table(record: dict) -> str:
    """The scores of the paper for each model, with their intervals."""
    lines = ["| model | node, type A | Spearman | edge, A-A, r < 1.35 | Spearman |", "|---|---|---|---|---|"]
    for name, scores in record["scores"].items():
        cells = [f"`{name}`"]
        for of, found in (("node", scores["species"]["A"]), ("edge", scores["pairs"]["A-A"])):
            low, high = found["interval"]["pearson"] or (float("nan"), float("nan"))
            cells += [f"{scores[f'{of}_pearson']:.4f} ({low:.3f} to {high:.3f})", f"{found['spearman']:.4f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def of_runs(record: dict) -> str:
    """A sentence of the ceilings of single configurations."""
    values = [row["ceiling"] for row in record["ceilings"]]
    runs = sorted({row["runs"] for row in record["ceilings"]})
    return (
        f"Of the authors' {len(values)} files, {' or '.join(map(str, runs))} runs each, S of type A has "
        f"{sum(values) / len(values):.3f} in the mean, and {min(values):.3f} to {max(values):.3f} one by one."
    )


def source(record: dict) -> str:
    """Which file, and with what it was made."""
    commit = (record["commit"] or "unknown")[:7]
    return (
        f"[scores.json](../benchmarks/results/{PLACE}), botan_fast {record['versions']['botan_fast']} at {commit}, "
        f"{record['date']}"
    )


if __name__ == "__main__":
    main()
