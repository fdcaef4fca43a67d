"""Structure as input: `python -m benchmarks.structure TRAIN TEST -o FOLDER`, into benchmarks/results/accuracy.

TRAIN and TEST are data sets (`botan-fast convert --inherent`). Baselines and networks (`recipe="structure"`) on the
first 1, 2, 4, ... configurations and on all; with all, five networks of other seeds, and ensembles of them. Models stay
in FOLDER, and what is there already is not trained again: an interrupted run goes on.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

import botan_fast as bf
from benchmarks import machine

NAME = "structure.json"
STEPS = 400  # of a network, whatever the number of configurations
ROTATIONS = 8


def baseline(train: bf.Dataset, test: bf.Dataset, folder: Path) -> dict:
    begin = time.perf_counter()
    result = bf.train_baseline(train, test, output=folder, progress=False)
    return {"seconds": time.perf_counter() - begin, "scores": result.scores, "penalties": result.penalties}


def network(train: bf.Dataset, test: bf.Dataset, folder: Path, seed: int) -> dict:
    begin = time.perf_counter()
    epochs = max(1, round(STEPS / len(train)))
    result = bf.train(train, recipe="structure", seed=seed, epochs=epochs, output=folder, resume=True, progress=False)
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "epochs": epochs, "scores": bf.evaluate(result.model, test)}


def per_file(model, test: bf.Dataset) -> list[dict]:
    rows = [bf.evaluate(model, [sample]) for sample in test]
    return [
        {"name": sample.name, "node": row["node_pearson"], "edge": row["edge_pearson"]}
        for sample, row in zip(test, rows, strict=True)
    ]


def ensemble(paths: list[Path], test: bf.Dataset, rotations: int) -> dict:
    begin = time.perf_counter()
    scores = bf.evaluate(bf.load_model(paths, rotations=rotations), test)
    return {"seconds": time.perf_counter() - begin, "scores": scores}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the models")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--no-ensembles", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    folder = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    train, test = bf.Dataset(arguments.train), bf.Dataset(arguments.test)
    done = folder / "done.json"
    results: dict[str, dict] = json.loads(done.read_text()) if done.exists() else {}

    def add(name: str, task, *options) -> None:
        if name in results:
            return
        results[name] = task(*options)
        scores = results[name].get("scores", {})
        print(name, scores.get("node_pearson"), scores.get("edge_pearson"), results[name].get("seconds"), flush=True)
        done.write_text(json.dumps(results, indent=1))

    add("baseline", baseline, train, test, folder / "baseline")
    networks = []
    for seed in range(arguments.seeds):
        add(f"network seed {seed}", network, train, test, folder / f"network-{seed}", seed)
        networks.append(folder / f"network-{seed}")
    for size in arguments.sizes:
        add(f"baseline of {size}", baseline, train[:size], test, folder / f"baseline-of-{size}")
        add(f"network of {size}", network, train[:size], test, folder / f"network-of-{size}", 0)
    if not arguments.no_ensembles:
        add("networks", ensemble, networks, test, 0)
        add("networks, rotations", ensemble, networks, test, ROTATIONS)
        add("networks and baseline", ensemble, [*networks, folder / "baseline"], test, 0)
        for name in ("baseline", "network-0"):
            if name not in results.get("files", {}):
                results.setdefault("files", {})[name] = per_file(bf.load_model(folder / name), test)
        done.write_text(json.dumps(results, indent=1))
    nodes = [results[f"network seed {seed}"]["scores"] for seed in range(arguments.seeds)]
    summary = {
        f"{end} of networks": [float(f([row[f"{end}_pearson"] for row in nodes])) for f in (np.mean, np.std)]
        for end in ("node", "edge")
    }
    path = machine.RESULTS / "accuracy" / NAME
    machine.write_json(path, {"format": 1, **machine.describe(arguments.threads), "summary": summary, **results})
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
