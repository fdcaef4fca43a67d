"""The demo by its seeds: `python -m benchmarks.demo`, into benchmarks/results/accuracy/demo.json.

Scores on the held-out configurations and seconds of training for each seed, with the demo's inputs, and with what the
positions say as they are, without the minimum of the energy; seconds of the whole command; and the linear baseline.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import botan_fast as bf
from benchmarks import machine
from botan_fast.cli import demo

NAME = "demo.json"
WITHOUT = {"node_inputs": ("species", "force", "thermal_energy"), "edge_inputs": ("vector", "radial")}


def run(seed: int, epochs: int, **options) -> dict:
    data = bf.Dataset(demo.demo_data()).select(time=demo.TIME)
    train, test = data.train_test_split(test=0.2, seed=0)
    begin = perf_counter()
    model = bf.train(train, epochs=epochs, seed=seed, progress=False, **demo.OPTIONS | options).model
    seconds = perf_counter() - begin
    scores = bf.evaluate(model, test)
    row = {"seed": seed, "seconds": round(seconds, 1), "node": scores["node_pearson"], "edge": scores["edge_pearson"]}
    print(row, options, flush=True)
    return row


def whole(epochs: int) -> dict:
    """Seconds of the command from its start to its end, and the scores of the two models that it shows."""
    with tempfile.TemporaryDirectory() as folder:
        begin = perf_counter()
        command = [
            sys.executable,
            "-m",
            "botan_fast",
            "demo",
            "--quiet",
            "--epochs",
            str(epochs),
            "-o",
            folder + "/demo",
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = perf_counter() - begin
        baseline = json.loads((Path(folder) / "demo/baseline/baseline.json").read_text())["scores"]
    row = {"seconds": round(seconds, 1), "baseline": {k: baseline[f"{k}_pearson"] for k in ("node", "edge")}}
    print(row, flush=True)
    return row


def main(argv: list[str] | None = None, folder=machine.RESULTS / "accuracy"):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=demo.EPOCHS)
    options = parser.parse_args(argv)
    record = {"format": 1, **machine.describe(), "epochs": options.epochs}
    record["demo"] = [run(seed, options.epochs) for seed in range(options.seeds)]
    record["whole"] = whole(options.epochs)
    record["without the minimum"] = [run(seed, options.epochs, **WITHOUT) for seed in range(options.seeds)]
    folder.mkdir(parents=True, exist_ok=True)
    machine.write_json(folder / NAME, record)
    print(f"wrote {folder / NAME}")
    return folder / NAME


if __name__ == "__main__":
    main()
