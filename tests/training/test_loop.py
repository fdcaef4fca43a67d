"""Training: what it computes, and that a run survives whatever ends it."""

import csv
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

import botan_fast as bf
from botan_fast.errors import CheckpointError, InputError
from botan_fast.training.augmentation import random_rotation
from botan_fast.training.callbacks import Callback, LogLines, ProgressBar
from botan_fast.training.loop import TrainingError
from botan_fast.training.run_directory import HISTORY_COLUMNS, RunDirectory
from tests.helpers.tiny_data import TINY, write_tiny

FAST = {**TINY, "learning_rate": 1e-3, "progress": False, "evaluate_every": 2}


def run(tiny_data, **options):
    return bf.train(tiny_data / "train/*.npz", tiny_data / "test/*.npz", **{**FAST, **options})


def assert_same_run(a, b):
    """Bitwise, apart from the time it took."""
    weights = a.model.state_dict(), b.model.state_dict()
    assert list(weights[0]) == list(weights[1])
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    without_time = [[{**row, "seconds": None} for row in result.history] for result in (a, b)]
    assert without_time[0] == without_time[1]


def assert_same_files(a, b):
    a, b = RunDirectory(a), RunDirectory(b)
    for name in ("last_file", "best_file"):
        assert getattr(a, name).read_bytes() == getattr(b, name).read_bytes()
    states = a.read_state(), b.read_state()
    for part in ("weights", "optimizer"):
        tensors = [getattr(state, part) for state in states]
        assert sorted(tensors[0]) == sorted(tensors[1])
        assert all(torch.equal(tensors[0][name], tensors[1][name]) for name in tensors[0])
    assert states[0].best_loss == states[1].best_loss
    assert not [file for file in a.path.iterdir() if file.name.startswith(".")]


@pytest.fixture(scope="module")
def uninterrupted(tiny_data, tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "uninterrupted"
    return run(tiny_data, epochs=6, output=output)


# ---- what is computed ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.0, 0.4, 1.0])
def test_one_epoch_is_adam_on_the_loss_of_the_paper(tiny_data, p):
    """The whole recipe again in plain torch, for one epoch of four batches of one graph."""
    result = run(tiny_data, epochs=1, p=p, seed=3, batch_size=1, decoders="separate")
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = bf.BOTAN(**TINY)
    samples = bf.load_samples(tiny_data / "train/*.npz")
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence([3, 0]).generate_state(1, np.uint64)[0]) >> 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses, norms = [], []
    for k in torch.randperm(4, generator=generator).tolist():
        graph, targets = samples[k].graph, samples[k].targets
        q = random_rotation("octahedral", 3, generator)
        prediction = model(graph.replace(vectors=graph.vectors @ q.T))
        node = ((prediction.node - targets.propensity) ** 2).mean()
        edge = ((prediction.edge - targets.pair_change) ** 2).mean()
        loss = p * node + (1 - p) * edge
        optimizer.zero_grad()
        loss.backward()
        squares = sum(float((w.grad.double() ** 2).sum()) for w in model.parameters())
        norms.append(squares**0.5)
        for w in model.parameters():
            w.grad *= min(1.0, 1.0 / (norms[-1] + 1e-6))
        optimizer.step()
        losses.append(loss.item())
    [row] = result.history
    assert row["train_loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert row["gradient_norm"] == pytest.approx(np.mean(norms), rel=1e-5)
    for a, b in zip(result.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_the_losses_decrease(tiny_data):
    history = run(tiny_data, epochs=15).history
    assert history[-1]["train_loss"] < 0.5 * history[0]["train_loss"]
    assert history[-1]["test_loss"] < 0.9 * history[0]["test_loss"]
    for part in ("train_node_loss", "train_edge_loss"):
        assert history[-1][part] < history[0][part]


def test_history_rows(tiny_data, uninterrupted):
    assert [row["epoch"] for row in uninterrupted.history] == list(range(6))
    assert all(set(row) == set(HISTORY_COLUMNS) for row in uninterrupted.history)
    for row in uninterrupted.history:
        assert row["train_loss"] == pytest.approx(0.4 * row["train_node_loss"] + 0.6 * row["train_edge_loss"], rel=1e-5)
        evaluated = row["epoch"] in (0, 2, 4, 5)
        assert (row["test_loss"] is not None) == (row["node_pearson_pooled"] is not None) == evaluated
    scores = bf.evaluate(uninterrupted.model, tiny_data / "test/*.npz")
    last = uninterrupted.history[-1]
    assert last["test_loss"] == 0.4 * scores["node_loss"] + 0.6 * scores["edge_loss"]
    assert last["edge_pearson"] == scores["edge_pearson"]


@pytest.mark.parametrize("hidden_size", [32, 12])  # with and without compiled kernels
def test_seeds(tiny_data, hidden_size):
    options = {"epochs": 2, "augmentation": "o3", "hidden_size": hidden_size}
    results = [run(tiny_data, seed=seed, **options) for seed in (1, 1, 2)]
    assert_same_run(results[0], results[1])
    assert results[0].history[0]["train_loss"] != results[2].history[0]["train_loss"]


def test_the_global_random_state_is_neither_read_nor_changed(tiny_data):
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 (the global state is what this is about)
    before, numpy_before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = run(tiny_data, epochs=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert (np.random.get_state()[1] == numpy_before).all()  # noqa: NPY002
    torch.manual_seed(2)
    assert_same_run(first, run(tiny_data, epochs=1))


def test_nodes_only_uses_batches_of_five_and_no_edge_decoder(tiny_data, monkeypatch):
    sizes = []
    original = bf.batch_graphs
    monkeypatch.setattr(
        "botan_fast.training.loop.batch_graphs", lambda graphs: sizes.append(len(graphs)) or original(graphs)
    )
    files = [*sorted((tiny_data / "train").glob("*.npz")), *sorted((tiny_data / "test").glob("*.npz"))]
    result = bf.train(files, p=1, epochs=1, **FAST)
    assert sizes == [5]  # and a last batch of one graph, which needs no union
    assert result.model.config["decoders"] == "node"
    assert result.history[0]["train_edge_loss"] is None
    assert result.history[0]["train_loss"] == pytest.approx(result.history[0]["train_node_loss"])


def test_a_batch_is_the_mean_over_all_particles_and_edges(tmp_path):
    files = [write_tiny(tmp_path / f"n{n}.npz", seed=n, number=n) for n in (80, 140)]
    result = bf.train(files, batch_size=2, epochs=1, augmentation="none", **FAST)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = bf.BOTAN(**TINY)
    errors = [[], []]
    for s in bf.load_samples(files):
        prediction = model(s.graph)
        errors[0].append((prediction.node - s.targets.propensity) ** 2)
        errors[1].append((prediction.edge - s.targets.pair_change) ** 2)
    node, edge = (torch.cat(part).mean().item() for part in errors)
    assert result.history[0]["train_node_loss"] == pytest.approx(node, rel=1e-5)
    assert result.history[0]["train_edge_loss"] == pytest.approx(edge, rel=1e-5)


@pytest.mark.parametrize("weights", [0.0, 1.0])
def test_a_decoder_without_weight_in_the_loss_stays(tiny_data, weights, tiny_model):
    name = "edge_decoder" if weights == 1 else "node_decoder"
    options = {key: value for key, value in FAST.items() if key not in TINY}
    result = bf.train(tiny_data / "train/*.npz", p=weights, epochs=2, init=tiny_model, **options)
    for key, value in result.model.state_dict().items():
        assert torch.equal(value, tiny_model.state_dict()[key]) == key.startswith(name), key


def test_older_variant_with_self_edges(tiny_data):
    result = run(tiny_data, epochs=3, p=1, self_edges=True, edge_node_skip=True)
    assert result.model.config["self_edges"]
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]


def test_two_dimensions(tmp_path):
    write_tiny(tmp_path / "flat.npz", seed=0, dimensions=2)
    result = bf.train(tmp_path / "flat.npz", epochs=2, **FAST)
    assert result.model.config["dimensions"] == 2


def test_init_copies_and_leaves_the_source_alone(tiny_data, tiny_model, tiny_model_file):
    before = {name: value.clone() for name, value in tiny_model.state_dict().items()}
    a, b = (
        run(tiny_data, epochs=1, init=init, hidden_size=None, num_steps=2) for init in (tiny_model, tiny_model_file)
    )
    assert_same_run(a, b)
    assert all(torch.equal(value, before[name]) for name, value in tiny_model.state_dict().items())


# ---- the run directory --------------------------------------------------------------------------------------------


def test_files_of_a_run(tiny_data, uninterrupted):
    folder = uninterrupted.output
    # tensorboard/ where that is installed
    assert {file.name for file in folder.iterdir()} - {"tensorboard"} == {
        "config.json",
        "training_state.safetensors",
        "last.safetensors",
        "best.safetensors",
        "history.csv",
    }
    assert json.loads((folder / "config.json").read_text())["settings"]["p"] == 0.4
    with open(folder / "history.csv") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == HISTORY_COLUMNS
    assert float(rows[3]["train_loss"]) == uninterrupted.history[3]["train_loss"]
    assert rows[3]["test_loss"] == ""
    for loaded in (bf.load_model(folder), bf.load_model(folder / "last.safetensors")):
        for name, value in uninterrupted.model.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], value)
    best = min(row["test_loss"] for row in uninterrupted.history if row["test_loss"] is not None)
    scores = bf.evaluate(bf.load_model(folder / "best.safetensors"), tiny_data / "test/*.npz")
    assert 0.4 * scores["node_loss"] + 0.6 * scores["edge_loss"] == best


def test_without_output_nothing_is_written(tiny_data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(tiny_data, epochs=1).output is None
    assert not list(tmp_path.iterdir())


def test_resume_after_fewer_epochs(tiny_data, uninterrupted, tmp_path):
    run(tiny_data, epochs=3, output=tmp_path / "run")
    resumed = run(tiny_data, epochs=6, output=tmp_path / "run", resume=True)
    assert_same_run(resumed, uninterrupted)
    assert_same_files(tmp_path / "run", uninterrupted.output)
    assert json.loads((tmp_path / "run/config.json").read_text())["settings"]["epochs"] == 6


def test_resume_of_a_finished_run_returns_it(tiny_data, uninterrupted):
    before = {file: file.stat().st_mtime_ns for file in uninterrupted.output.iterdir()}
    for epochs in (6, 4):
        assert_same_run(run(tiny_data, epochs=epochs, output=uninterrupted.output, resume=True), uninterrupted)
    assert {file: file.stat().st_mtime_ns for file in uninterrupted.output.iterdir()} == before


def test_resume_without_a_run_starts_one(tiny_data, uninterrupted, tmp_path):
    assert_same_run(run(tiny_data, epochs=6, output=tmp_path / "new", resume=True), uninterrupted)


KILLED = """
import os, signal, sys
import botan_fast as bf
import botan_fast.training.run_directory
from botan_fast.training.callbacks import Callback

train, test, output, where = sys.argv[1:]
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

class Killer(Callback):
    def batch_finished(self, epoch, loss):
        self.batches = getattr(self, "batches", 0) + 1
        if where == "within an epoch" and self.batches == 3 * 4 + 2:
            die()
    def epoch_finished(self, row, model):
        if row["epoch"] != 2:
            return
        if where == "between the files":  # the state of epoch 3 is written, last.safetensors is not
            botan_fast.training.run_directory.RunDirectory.write_results = die
        if where == "within the state":  # its temporary file is written, and has not got its name yet
            replace = os.replace
            os.replace = lambda a, b: die() if "training_state" in str(b) else replace(a, b)

bf.train(train, test, hidden_size=32, num_steps=2, learning_rate=1e-3, progress=False, evaluate_every=2, epochs=6,
         output=output, callbacks=[Killer()])
"""


@pytest.mark.parametrize("where", ["within an epoch", "between the files", "within the state"])
def test_resume_after_sigkill(tiny_data, uninterrupted, tmp_path, where):
    output = tmp_path / "run"
    arguments = [str(tiny_data / "train/*.npz"), str(tiny_data / "test/*.npz"), str(output), where]
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, text=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert RunDirectory(output).read_state().epochs == (4 if where == "between the files" else 3)
    assert_same_run(run(tiny_data, epochs=6, output=output, resume=True), uninterrupted)
    assert_same_files(output, uninterrupted.output)


class Stop(Callback):
    """Ctrl-C in the middle of an epoch."""

    def __init__(self, epoch):
        self.epoch, self.ended = epoch, False

    def batch_finished(self, epoch, loss):
        if epoch == self.epoch:
            os.kill(os.getpid(), signal.SIGINT)

    def run_ended(self):
        self.ended = True


@pytest.mark.parametrize("epoch", [0, 4])
def test_ctrl_c_saves_the_last_finished_epoch(tiny_data, uninterrupted, tmp_path, epoch):
    stop, output = Stop(epoch), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run(tiny_data, epochs=6, output=output, checkpoint_every=3, callbacks=[stop])
    assert stop.ended
    if epoch:
        assert RunDirectory(output).read_state().epochs == epoch  # not the multiple of three before it
        assert len((output / "history.csv").read_text().splitlines()) == 1 + epoch
    assert_same_run(run(tiny_data, epochs=6, output=output, resume=True), uninterrupted)
    assert_same_files(output, uninterrupted.output)


def test_a_loss_that_is_not_finite_stops_the_run(tiny_data, tmp_path):
    output = tmp_path / "run"
    samples = bf.load_samples(tiny_data / "train/*.npz")

    def poison(row):
        if row["epoch"] == 1:
            samples[2].targets.propensity[7] = float("nan")

    with pytest.raises(
        TrainingError, match=r"loss = nan .* in epoch 2, configuration conf_3: .*learning_rate"
    ) as error:
        bf.train(samples, epochs=6, output=output, callbacks=[poison], checkpoint_every=10, **FAST)
    assert "\n" not in str(error.value)
    assert RunDirectory(output).read_state().epochs == 2
    assert all(value.isfinite().all() for value in bf.load_model(output).state_dict().values())
    assert len((output / "history.csv").read_text().splitlines()) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p": 0.3}, r"p = 0\.3 differs from the run in '.*', which has p = 0\.4; resume with the same"),
        ({"seed": 1}, r"seed = 1 .* seed = 0;"),
        ({"learning_rate": 2e-3}, r"learning_rate = 0\.002 .* learning_rate = 0\.001;"),
        ({"augmentation": "o3"}, r"augmentation = 'o3' .* augmentation = 'octahedral';"),
        ({"batch_size": 2}, r"batch_size = 2 .* batch_size = 1;"),
        ({"hidden_size": 8}, r"hidden_size = 8 .* hidden_size = 32;"),
        ({"decoders": "shared"}, r"decoders = 'shared' .* decoders = 'separate';"),
        ({"density": 1.2}, r"density = 1\.2 .* density = None;"),
        ({"test": None}, r"test = 0 configurations .* test = 2 configurations;"),
        ({"train": "test/*.npz"}, r"train = 2 configurations .* train = 4 configurations;"),
        ({"test": "train/conf_?.npz"}, r"test = 3 configurations .* test = 2 configurations;"),
    ],
)
def test_resume_with_other_arguments(tiny_data, uninterrupted, change, message):
    data = {"train": "train/*.npz", "test": "test/*.npz"} | {k: change[k] for k in ("train", "test") if k in change}
    data = {name: pattern and tiny_data / pattern for name, pattern in data.items()}
    options = FAST | {name: value for name, value in change.items() if name not in data}
    with pytest.raises(InputError, match=message):
        bf.train(**data, **options, epochs=7, output=uninterrupted.output, resume=True)
    assert RunDirectory(uninterrupted.output).read_state().epochs == 6


def test_resume_with_other_contents_of_the_same_names(tiny_data, tmp_path):
    for folder, shift in (("a", 0), ("b", 1)):
        (tmp_path / folder).mkdir()
        write_tiny(tmp_path / folder / "conf.npz", seed=shift)
    bf.train(tmp_path / "a/conf.npz", epochs=1, output=tmp_path / "run", **FAST)
    with pytest.raises(InputError, match=r"train = files of the same names \(sha256 .*other contents"):
        bf.train(tmp_path / "b/conf.npz", epochs=2, output=tmp_path / "run", resume=True, **FAST)


def test_resume_with_other_weights(tiny_data, tiny_model, tmp_path):
    options = {"epochs": 1, "output": tmp_path / "run", "hidden_size": None, "num_steps": None}
    run(tiny_data, init=tiny_model, **options)
    with pytest.raises(InputError, match=r"init = None differs .* init = 'a BOTAN model'"):
        run(tiny_data, **{**options, **TINY}, resume=True)
    with torch.no_grad():
        tiny_model.node_encoder.fc1.bias += 1
    with pytest.raises(InputError, match=r"init = 'a BOTAN model' \(sha256"):
        run(tiny_data, init=tiny_model, **options, resume=True)


def test_a_used_output_directory(tiny_data, uninterrupted, tmp_path):
    with pytest.raises(InputError, match=r"output = '.*' holds a run already; continue it with resume=True"):
        run(tiny_data, epochs=1, output=uninterrupted.output)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="is a file; name a folder"):
        run(tiny_data, epochs=1, output=tmp_path / "file")
    with pytest.raises(InputError, match="cannot be created"):
        run(tiny_data, epochs=1, output=tmp_path / "file" / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    run(tiny_data, epochs=1, output=tmp_path / "other")
    assert (tmp_path / "other" / "notes.txt").read_text() == "mine"


def test_a_damaged_run(tiny_data, tmp_path):
    output = tmp_path / "run"
    run(tiny_data, epochs=1, output=output)
    state = (output / "training_state.safetensors").read_bytes()
    for content in (state[:100], state[: len(state) // 2], b"", (output / "last.safetensors").read_bytes()):
        (output / "training_state.safetensors").write_bytes(content)
        with pytest.raises(CheckpointError, match=r"training_state\.safetensors cannot be read .*start a new run"):
            run(tiny_data, epochs=2, output=output, resume=True)
    for content in ("{", "[]"):
        (output / "config.json").write_text(content)
        with pytest.raises(CheckpointError, match=r"config\.json"):
            run(tiny_data, epochs=2, output=output, resume=True)
    (output / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"config\.json' is not of this version"):
        run(tiny_data, epochs=2, output=output, resume=True)
    (output / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        run(tiny_data, epochs=2, output=output, resume=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"p": 1.5}, r"p = 1\.5: .* between 0"),
        ({"p": float("nan")}, r"p = nan"),
        ({"p": "0.4"}, r"p = '0\.4': give a number"),
        ({"epochs": 0}, r"epochs = 0: give a whole number of at least 1"),
        ({"epochs": 2.5}, r"epochs = 2\.5"),
        ({"seed": -1}, r"seed = -1"),
        ({"batch_size": 0}, r"batch_size = 0"),
        ({"evaluate_every": 0}, r"evaluate_every = 0"),
        ({"checkpoint_every": 0}, r"checkpoint_every = 0"),
        ({"learning_rate": 0.0}, r"learning_rate = 0\.0"),
        ({"clip_norm": float("inf")}, r"clip_norm = inf"),
        ({"augmentation": "cubic"}, r"augmentation = 'cubic'"),
        ({"decoders": "node"}, r"p = 0\.4 trains edges, but decoders = 'node' has no edge decoder"),
        ({"resume": True}, r"resume = True needs output"),
        ({"device": "gpu"}, r"device = 'gpu'"),
    ],
)
def test_wrong_arguments(tiny_data, options, message):
    with pytest.raises(InputError, match=message):
        run(tiny_data, **options)


def test_init_of_another_architecture(tiny_data, tiny_model, tmp_path):
    with pytest.raises(InputError, match=r"hidden_size = 16 but init has hidden_size = 32; leave hidden_size out"):
        run(tiny_data, init=tiny_model, hidden_size=16)
    write_tiny(tmp_path / "flat.npz", seed=0, dimensions=2)
    with pytest.raises(InputError, match=r"init has dimensions = 3 but the training data are 2-dimensional"):
        bf.train(tmp_path / "flat.npz", init=tiny_model, progress=False)
    with pytest.raises(InputError, match=r"flat is 2-dimensional but conf_1 is 3-dimensional"):
        bf.train(tiny_data / "train/*.npz", tmp_path / "flat.npz", **FAST)


# ---- callbacks ----------------------------------------------------------------------------------------------------


def test_log_lines(tiny_data, capfd):
    run(tiny_data, epochs=3, progress=True)
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "training on cpu: 4 configurations, 2 to test, epochs 0 to 2"
    assert [line.split()[1] for line in lines[1:]] == ["0/3", "2/3"]
    assert "edge_r" in lines[1]


def test_progress_bar(tiny_data, capfd):
    run(tiny_data, epochs=2, callbacks=[ProgressBar()])
    last = capfd.readouterr().err.split("\r")[-1]
    assert "8/8" in last
    assert "edge_r" in last


def test_functions_and_objects_as_callbacks(tiny_data):
    rows, batches = [], []

    class Batches(Callback):
        def batch_finished(self, epoch, loss):
            batches.append((epoch, loss))

    result = run(tiny_data, epochs=2, callbacks=[rows.append, Batches(), LogLines()])
    assert rows == result.history
    assert np.mean([loss for epoch, loss in batches if epoch == 1]) == pytest.approx(rows[1]["train_loss"])


def test_tensorboard_when_it_is_installed(tiny_data, tmp_path, monkeypatch):
    written, purged = [], []

    class SummaryWriter:
        def __init__(self, folder, purge_step):
            purged.append((folder, purge_step))

        def add_scalar(self, name, value, step):
            written.append((name, value, step))

        def close(self):
            written.append("closed")

    module = type(sys)("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    run(tiny_data, epochs=2, output=tmp_path / "run")
    result = run(tiny_data, epochs=3, output=tmp_path / "run", resume=True)
    assert purged == [(str(tmp_path / "run/tensorboard"), 0), (str(tmp_path / "run/tensorboard"), 2)]
    assert ("train_loss", result.history[1]["train_loss"], 1) in written
    assert not [entry for entry in written if entry[0] == "test_loss" and entry[2] == 3]
    assert written[-1] == "closed"
