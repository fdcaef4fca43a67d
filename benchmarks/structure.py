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


def baselines_of_one(train: bf.Dataset, test: bf.Dataset) -> dict:
    """A baseline of each configuration alone: the mean, and each."""
    rows = [bf.train_baseline(train[k : k + 1], test, progress=False).scores for k in range(len(train))]
    names = ("node_pearson", "edge_pearson")
    return {"scores": {name: float(np.mean([row[name] for row in rows])) for name in names}, "each": rows}


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


def draw(record: dict, path: Path) -> None:
    """The learning curve: scores against the number of training configurations."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 2.6), layout="constrained")
    for axes, end, published in zip(figure.subplots(1, 2), ("node", "edge"), (0.752, None), strict=True):
        for kind, colour, marker in (("baseline", "#0072b2", "o"), ("network", "#d55e00", "s")):
            found = [(int(name.split()[-1]), row) for name, row in record.items() if name.startswith(f"{kind} of ")]
            if kind == "baseline":
                found.append((1, record["baselines of one"]))
            found.append((10, record["baseline" if kind == "baseline" else "network seed 0"]))
            found.sort(key=lambda pair: pair[0])
            points = [(size, row["scores"][f"{end}_pearson"]) for size, row in found]
            axes.plot(*zip(*points, strict=True), color=colour, marker=marker, label=kind)
        if published:
            axes.axhline(published, color="0.5", linestyle="--", label="BOTAN, 400 configurations (published)")
        axes.set(xscale="log", xlabel="training configurations", ylabel=f"{end} Pearson, type A, t = 4120")
        axes.set_xticks([1, 2, 4, 10], ["1", "2", "4", "10"])
        axes.minorticks_off()
        axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


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
        results[name] = task(*options) | {"commit": machine.commit()}
        scores = results[name].get("scores", {})
        print(name, scores.get("node_pearson"), scores.get("edge_pearson"), results[name].get("seconds"), flush=True)
        done.write_text(json.dumps(results, indent=1))

    add("baseline", baseline, train, test, folder / "baseline")
    networks = []
    for seed in range(arguments.seeds):
        add(f"network seed {seed}", network, train, test, folder / f"network-{seed}", seed)
        networks.append(folder / f"network-{seed}")
    add("baselines of one", baselines_of_one, train, test)
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
    record = {"format": 1, **machine.describe(arguments.threads), "summary": summary, **results}
    machine.write_json(path, record)
    draw(record, machine.ROOT / "docs" / "accuracy.png")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
