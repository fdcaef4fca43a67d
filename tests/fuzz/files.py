"""A small whole file of each kind, and the function that reads it as the package does."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import botan_fast as bf
from botan_fast.formats import read
from botan_fast.simulation.protocol import Protocol
from botan_fast.simulation.work_folder import WorkFolder
from botan_fast.training.run_directory import RunDirectory, TrainingState
from botan_fast.training.settings import TrainingSettings, check_resumed, describe_run
from tests.helpers.format_files import write_all
from tests.helpers.tf_bundle_writer import write_bundle
from tests.helpers.tiny_data import tiny_arrays

FORMATS = (
    "lammps",
    "lammps gzip",
    "lammps bzip2",
    "lammps xz",
    "lammps data",
    "xyz",
    "plain xyz",
    "h5md",
    "h5md groups",
    "glassy_dynamics",
    "glassy_dynamics protocol 5",
    "glassbench models",
    "glassbench trajectories",
    "plain npz",
    "plain hdf5",
    "gsd",
    "layout",
)
OTHERS = (
    "data set",
    "pth",
    "pth one pickle",
    "safetensors",
    "tensorflow index",
    "tensorflow data",
    "run config",
    "run state",
    "simulate protocol",
    "simulate system",
    "simulate run",
    "simulate report",
)
KINDS = (*FORMATS, *OTHERS)


@dataclass
class Target:
    """The file that is damaged, and what reads it."""

    path: Path
    read: Callable[[], Any]


def make(kind: str, folder: Path) -> Target:
    """A whole file of the kind in `folder`, with what it needs beside it."""
    if kind in FORMATS:
        path = write_all(folder)[kind]
        return Target(path, lambda: read(path))
    if kind == "data set":
        return _data_set(folder)
    if kind.startswith("run"):
        return _run(kind, folder)
    if kind.startswith("simulate"):
        return _simulation(kind, folder)
    return _model(kind, folder)


def _data_set(folder: Path) -> Target:
    path, rng = folder / "a.h5", np.random.default_rng(0)
    with bf.DatasetWriter(path, cutoff=1.5) as writer:
        for k in range(2):
            times = [bf.TimeRecord(time=t, num_runs=4, propensity=rng.random(20)) for t in (1.0, 2.0)]
            writer.add(bf.Record(f"conf_{k}", rng.random((20, 3)) * 4, np.arange(20) % 2, 4.0, 0.5, times))

    def everything() -> None:
        with bf.Dataset(path) as dataset:
            for k in range(len(dataset)):
                dataset.arrays(k)
                assert dataset[k].graph is not None
            dataset.describe()

    return Target(path, everything)


def _small_model(**options: Any) -> bf.BOTAN:
    torch.manual_seed(0)
    return bf.BOTAN(hidden_size=4, **options)


def _model(kind: str, folder: Path) -> Target:
    path = folder / "model.dat"
    if kind == "safetensors":
        bf.save_model(_small_model(), path, metadata={"epoch": 3})
    elif kind.startswith("pth"):
        theirs = {"processor.edge_mlp": "network.edge_model.mlp", "processor.node_mlp": "network.node_model.mlp"}
        state = {}
        for name, tensor in _small_model(decoders="shared").state_dict().items():
            for ours, other in theirs.items():
                name = name.replace(ours, other)
            state[name] = tensor
        torch.save({"epoch": 1, "model": state}, path, _use_new_zipfile_serialization=kind == "pth")
    else:
        tensors = _bundle(_small_model(decoders="node", edge_node_skip=True, self_edges=True))
        write_bundle(folder / "t.ckpt", tensors)
        path = folder / ("t.ckpt.index" if kind.endswith("index") else "t.ckpt.data-00000-of-00001")
    return Target(path, lambda: bf.load_model(path))


def _bundle(model: bf.BOTAN) -> dict[str, np.ndarray]:
    """The weights under the names, and in the order of axes, of glassy_dynamics; their blocks do not matter here."""
    from botan_fast.model.published import _GLASSY_DYNAMICS

    tensors = {}
    for name, value in model.state_dict().items():
        module, layer, which = name.rsplit(".", 2)
        tensors[f"{_GLASSY_DYNAMICS[module]}/mlp/linear_{int(layer[2:]) - 1}/{which[0]}"] = value.numpy().T.copy()
    return dict(sorted(tensors.items()))


def _run(kind: str, folder: Path) -> Target:
    """A run folder; its history.csv is written for people, and nothing reads it."""
    run = RunDirectory(folder / "run")
    run.path.mkdir()
    model = _small_model()
    optimizer = torch.optim.Adam(model.parameters())
    sum(parameter.square().sum() for parameter in model.parameters()).backward()
    optimizer.step()
    np.savez(folder / "a.npz", **tiny_arrays(0))
    samples = bf.load_samples(folder / "a.npz")
    counts = dict.fromkeys(("epochs", "batch_size", "evaluate_every", "checkpoint_every"), 3)
    numbers = {"p": 0.5, "seed": 0, "learning_rate": 1e-3, "clip_norm": 1.0}
    settings = TrainingSettings(**counts, **numbers, augmentation="none", schedule="constant")
    description = describe_run(settings, model, model, samples, samples, None, 1.2)
    run.write_config(description)
    run.save(TrainingState.capture(model, optimizer, [{"epoch": 1, "train_loss": 0.5}], 0.4), model)
    given = json.loads(json.dumps(description))

    def resumed() -> None:
        check_resumed(run.read_config(), given, run.path)
        state = run.read_state()
        if state is not None:
            model = _small_model()
            state.restore(model, torch.optim.Adam(model.parameters()))
            run_again = RunDirectory(folder / "again")
            run_again.path.mkdir(exist_ok=True)
            run_again.write_config({})
            run_again.save(state, model)

    return Target(run.config_file if kind == "run config" else run.state_file, resumed)


def _simulation(kind: str, folder: Path) -> Target:
    output = folder / "ka.h5"
    protocol = Protocol(num_particles=200, runs=1, times=(0.13, 1.3)).checked()
    work, name, number = WorkFolder(output, protocol), protocol.name(0, 0), protocol.num_particles
    rng = np.random.default_rng(0)
    cell = rng.random((number, 3))
    work.save_system(0, {"positions": cell, "velocities": cell, "types": np.arange(number) % 2, "done": 2})
    work.save_run(name, 0, {"positions": np.stack([cell, cell]), "drift": 0.001, "temperature": 0.64})
    work.save_report({"name": name, "energy_drift": 0.001, "temperature": 0.64, "scattering": [0.9, 0.5]})
    places = {
        "simulate protocol": work.path / "protocol.json",
        "simulate system": work.path / "quench-0000.npz",
        "simulate run": work.path / "runs" / name / "0000.npz",
        "simulate report": work.path / "reports" / f"{name}.json",
    }

    def resumed() -> None:
        again = WorkFolder(output, protocol)
        again.pieces_done(0)
        again.load_run(name, 0)
        again.load_report(name)

    return Target(places[kind], resumed)
