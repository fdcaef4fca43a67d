"""Results for the gallery: `python -m benchmarks.figures STUDY`, into benchmarks/results/figures.

STUDY is the folder of `botan-fast sweep benchmarks/plans/figures.toml -o STUDY --workers 2`. The files are small: the
scores of all its models, F_s of its simulation, one run epoch by epoch, and what that run's model says of the
configuration that nothing was trained on, beside its simulation.
"""

import argparse
import csv
import json
import shutil
from pathlib import Path

import numpy as np

import botan_fast as bf
from benchmarks import machine
from botan_fast.cli.found import find
from botan_fast.quantities import FIRST_SHELL
from botan_fast.sweep.table import Table, collect

FOLDER = machine.RESULTS / "figures"
COLUMNS = ("stage", "command", "temperature", "time", "seed", "p", "num_steps", "node_target", "source", "node_pearson",
           "edge_pearson", "num_train", "pretrained", "epochs")  # fmt: skip
CURVE, SEEN, TEST = "runs/curve", "data/seen.h5", "data/test.h5"


def rounded(table: Table) -> list[dict]:
    """The columns that figures are drawn from; scores to six digits."""
    return [
        {name: f"{value:.6g}" if isinstance(value := row.get(name), float) else plain(value) for name in COLUMNS}
        for row in table.rows
    ]


def plain(value: object) -> object:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def scattering(study: Path) -> dict:
    """F_s of the A particles of each configuration, from the reports beside the shards."""
    found = [one for path in sorted((study / "data").glob("simulated-*.h5")) for one in find(str(path)).simulated]
    curves = [check.scattering for one in found for check in one.result.configurations]
    first = found[0]
    return {
        "times": list(first.result.times),
        "k": first.result.wave_number,
        "temperature": first.temperature,
        "num_particles": first.number,
        "configurations": [[round(value, 6) for value in curve] for curve in curves],
    }


def held_out(study: Path) -> dict[str, np.ndarray]:
    """The configuration of the fifth quench: what the model predicts, the targets, and the field of Eq. (16)."""
    [found] = bf.predict(bf.load_model(study / CURVE), study / SEEN, time=16.5, progress=False)
    once = found.senders < found.receivers
    number = len(found.types)
    here, there = found.senders * number + found.receivers, found.receivers * number + found.senders
    order = np.argsort(here)
    back = order[np.searchsorted(here[order], there)]  # of each edge the opposite one
    runs = []
    for file in sorted((study / f"{SEEN}.work").glob("T*/runs/*/*.npz")):
        with np.load(file) as run:
            runs.append(run["positions"][-1])
    graph = bf.build_graph(found.positions, found.types, found.box, FIRST_SHELL)
    field = bf.local_displacement_field(found.positions, np.stack(runs), graph).mean(0)
    half = {
        "distances": found.distance,
        "actual_pairs": found.target_pair_change,
        "predicted_pairs": (found.pair_change + found.pair_change[back]) / 2,
    }
    return {
        "positions": found.positions.astype(np.float32),
        "types": found.types.astype(np.int8),
        "box": found.box,
        "actual": found.target_propensity.astype(np.float32),
        "predicted": found.propensity.astype(np.float32),
        "field": np.asarray(field, dtype=np.float32),
        "pairs": np.stack([found.senders, found.receivers])[:, once].astype(np.uint16),
        **{name: values[once].astype(np.float32) for name, values in half.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    study = parser.parse_args().study
    table = collect(study)
    if table.missing:
        raise SystemExit(f"{study} is not finished: {table.missing[0]}; continue it with botan-fast sweep -o {study}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(FOLDER / "table.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rounded(table))
    shutil.copy(study / CURVE / "history.csv", FOLDER / "history.csv")
    np.savez_compressed(FOLDER / "held_out.npz", **held_out(study))
    scores = bf.evaluate(bf.load_model(study / CURVE), study / TEST, time=16.5, progress=False)
    record = {
        **machine.describe(threads=1),
        "plan": "benchmarks/plans/figures.toml",
        "scattering": scattering(study),
        "correlation": scores["heterogeneity"]["correlation"],
    }
    (FOLDER / "record.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
