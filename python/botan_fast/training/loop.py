"""train(): from data to a trained model. The loop is meant to be read."""

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from .. import ops
from ..arrays import Array
from ..data.loading import Data, given_samples, load_samples
from ..data.sample import Sample
from ..data.selection import Numbers
from ..data.species import describe_types
from ..device import Device, choose_device
from ..errors import BotanFastError, InputError
from ..evaluation.scores import score
from ..files import FilePath
from ..graph.graph import Graph, batch_graphs
from ..interruption import Interrupted, deferred
from ..model.botan import BOTAN
from ..terminal import say
from .augmentation import random_rotation
from .callbacks import Callback, FunctionCallback, default_callbacks
from .card import training_card
from .preconditions import check_alone
from .run_directory import RunDirectory, TrainingState
from .samples import check_samples, give_words
from .settings import TrainingSettings, describe_run, initial_model, load_init, model_config

__all__ = ["TrainingError", "TrainingResult", "train"]


class TrainingError(BotanFastError):
    """Training cannot go on: the loss or a gradient is not finite."""


@dataclass(repr=False)
class TrainingResult:
    """What train() returns.

    model     BOTAN after the last epoch; its `card` says what it was trained for
    history   list of dict, one for each epoch; its keys are the columns of history.csv
    output    the run directory, or None
    """

    model: BOTAN
    history: list[dict[str, Any]]
    output: Path | None

    def __repr__(self) -> str:
        last = self.history[-1] if self.history else {}
        names = ("train_loss", "test_loss", "node_pearson", "edge_pearson")
        numbers = "".join(f", {name}={last[name]:.4g}" for name in names if last.get(name) is not None)
        output = "" if self.output is None else f", output={str(self.output)!r}"
        return f"TrainingResult({len(self.history)} epochs{numbers}{output})"


def train(
    train: Data,
    test: Data | None = None,
    *,
    p: float = 0.4,
    epochs: int = 1000,
    init: BOTAN | FilePath | None = None,
    seed: int = 0,
    output: FilePath | None = None,
    resume: bool = False,
    augmentation: str = "octahedral",
    learning_rate: float = 1e-4,
    schedule: str = "constant",
    clip_norm: float = 1.0,
    batch_size: int | None = None,
    evaluate_every: int = 5,
    checkpoint_every: int = 1,
    precision: str = "fp32",
    save_memory: bool = False,
    hidden_size: int | None = None,
    num_steps: int | None = None,
    decoders: str | None = None,
    edge_node_skip: bool | None = None,
    self_edges: bool | None = None,
    cutoff: float | None = None,
    node_target: str | None = None,
    box: Array | None = None,
    density: float | None = None,
    temperature: Numbers = None,
    time: Numbers = None,
    species: Sequence[str] | None = None,
    device: Device = None,
    progress: bool = True,
    callbacks: Sequence[Callback | Callable[[dict[str, Any]], Any]] = (),
) -> TrainingResult:
    """Train BOTAN (Shiba et al., J. Chem. Phys. 158, 084503 (2023)).

    The loss of a batch is p mean_i (S_hat_i - S_i)^2 + (1 - p) mean_ij (E_hat_ij - E_ij)^2, over all particles and all
    directed edges of its graphs. Adam minimises it; the gradient's norm is clipped first. Every sample is turned by a
    random rotation each time it is seen.

    Parameters
    ----------
    train, test : path, glob pattern, Dataset, list of them, or list of Sample
        Configurations with trajectories, see `load_samples`. Without `test` there are no scores.
    p : float
        Weight of the node loss: 0.4 for both targets, 0 for edges only (pretraining), 1 for nodes only.
    epochs : int
        Total number of epochs, those of a resumed run included. Epochs are counted from 0.
    init : path or BOTAN, optional
        Weights to start from (`load_model` says what it reads); the architecture comes with them.
    seed : int
        Decides initial weights, order and rotations. The global random state of torch is neither read nor changed.
    output : path, optional
        Folder for the run's files (see `botan_fast.training.run_directory`), which one process at a time trains in;
        without it nothing is written.
    resume : bool
        Continue the run in `output` after its last saved epoch; the result is bitwise that of a run that was never
        interrupted. Every argument must be as it was, apart from epochs (with a constant schedule), checkpoint_every,
        save_memory, device, progress and callbacks. A folder without a run starts one; a run with that many epochs is
        returned as it is.
    augmentation : {"octahedral", "o3", "none"}
        Distribution of the rotations, see `botan_fast.training.augmentation.random_rotation`.
    learning_rate, clip_norm : float
        Step size of Adam, and the largest norm of a gradient.
    schedule : {"constant", "cosine"}
        How the step size goes along the run; the authors keep it constant. "cosine" raises it from 0 to learning_rate
        within the first twentieth of the steps and lets it fall to 0 along a half cosine: short runs get further with
        it, at a larger learning_rate. Its steps depend on `epochs`, so such a run cannot be extended on resume.
    batch_size : int, optional
        Graphs in a batch; by default 1, and 5 for p = 1.
    evaluate_every : int
        Scores are computed after the epochs 0, k, 2k, ... and after the last one.
    checkpoint_every : int
        The run is saved after every k-th epoch and the last one; also when it is interrupted.
    precision : {"fp32", "bf16", "tf32"}
        How matrix products are computed, in training and in its tests; see docs/precision.md. Weights are float32.
    save_memory : bool
        Keep fewer edge arrays for the backward pass and compute them again: larger graphs in the same memory, in more
        time, with the same bits on a CPU (see `BOTAN`).
    hidden_size, num_steps, decoders, edge_node_skip, self_edges, cutoff, node_target : optional
        Options of `BOTAN`, with its defaults; for p = 1 the default of `decoders` is "node". With `init` they come from
        there.
    box, density, temperature, time, species : optional
        Periodic box of the files, the choice of temperature and time, and which species is A, see `load_samples`.
    device : str or torch.device, optional
        By default the GPU if torch has one, else the CPU.
    progress : bool
        Show progress on standard error: a bar in a terminal, lines in a log file.
    callbacks : sequence
        `Callback` objects, or functions that are called with each new line of the history.

    Returns
    -------
    TrainingResult
        model (in eval mode, on `device`), history, output.

    Raises
    ------
    InputError, DataError, CheckpointError
        for wrong arguments, data files, and weights or run files.
    TrainingError
        when the loss or the gradient is not finite. What the run saved before stays.
    KeyboardInterrupt
        on Ctrl-C, after the last finished epoch has been saved; pressed again meanwhile, it is saved all the same.

    Warns
    -----
    BotanFastWarning
        Test configurations are among those of the training, several times are mixed in one target, the targets are of
        one run, type 0 is the minority, or num_steps is 0.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> import botan_fast as bf
    >>> folder = tempfile.TemporaryDirectory()
    >>> rng = np.random.default_rng(0)
    >>> x = rng.random((100, 3)) * (100 / 1.2) ** (1 / 3)
    >>> np.savez(folder.name + "/a.npz", types=np.arange(100) % 2, initial_positions=x,
    ...     positions=x + 0.1 * rng.standard_normal((8, 100, 3)))
    >>> result = bf.train(folder.name + "/*.npz", epochs=2, hidden_size=8, num_steps=1, progress=False)
    >>> [row["epoch"] for row in result.history]
    [0, 1]
    """
    settings = TrainingSettings(
        p=p,
        epochs=epochs,
        seed=seed,
        augmentation=augmentation,
        learning_rate=learning_rate,
        schedule=schedule,
        clip_norm=clip_norm,
        batch_size=(5 if p == 1 else 1) if batch_size is None else batch_size,
        evaluate_every=evaluate_every,
        checkpoint_every=checkpoint_every,
        precision=precision,
        save_memory=save_memory,
    )
    check_alone()
    device = choose_device(device)
    run = None if output is None else RunDirectory(output)
    if resume and run is None:
        raise InputError("resume = True needs output, the folder of the run to continue")
    options = {
        "hidden_size": hidden_size,
        "num_steps": num_steps,
        "decoders": decoders,
        "edge_node_skip": edge_node_skip,
        "self_edges": self_edges,
        "cutoff": cutoff,
        "node_target": node_target,
    }
    reading = {"box": box, "density": density, "temperature": temperature, "time": time, "species": species}
    # Before the data are read: is the folder free, and can it be written to?
    with contextlib.nullcontext() if run is None else run.held(resume):
        return _train(settings, run, train, test, init, options, reading, device, progress, callbacks)


def _train(
    settings: TrainingSettings,
    run: RunDirectory | None,
    train: Data,
    test: Data | None,
    init: BOTAN | FilePath | None,
    options: dict[str, Any],
    reading: dict[str, Any],
    device: torch.device,
    progress: bool,
    callbacks: Sequence[Callback | Callable[[dict[str, Any]], Any]],
) -> TrainingResult:
    """`train` with its settings checked and its folder its own."""
    source = load_init(init)
    config = model_config(source, options, settings.p)
    reading = reading | {name: config[name] for name in ("cutoff", "self_edges", "node_target")}
    box, density = reading["box"], reading["density"]
    train_samples = load_samples(train, **reading, progress=progress)
    test_samples = [] if test is None else load_samples(test, **reading, progress=progress)
    dimensions = check_samples(train_samples, test_samples, settings.p)
    give_words(train_samples, test_samples, config.get("num_steps"), loaded=given_samples(train) is None)
    model = initial_model(source, config, dimensions, settings.seed)
    description = describe_run(settings, model, init, train_samples, test_samples, box, density)
    model.card = training_card(settings.p, model.config, train_samples)
    train_samples, test_samples = ([s.to(device) for s in samples] for samples in (train_samples, test_samples))
    model.to(device)
    ops.warn_if_slow(model.config["hidden_size"], settings.precision, device)
    optimizer = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)

    state = TrainingState.capture(model, optimizer, history=[], best_loss=None)
    if run is not None:
        state = run.open(description, state)
        state.restore(model, optimizer)
        if state.epochs:
            run.repair_results(state, model)
    if state.epochs >= settings.epochs:
        return TrainingResult(model.eval(), state.history, None if run is None else run.path)

    watchers: list[Callback] = default_callbacks(progress, None if run is None else run.path / "tensorboard")
    watchers += [c if isinstance(c, Callback) else FunctionCallback(c) for c in callbacks]
    if progress:
        say(
            f"training on {device}: {len(train_samples)} configurations, {len(test_samples)} to test, "
            f"epochs {state.epochs} to {settings.epochs - 1}"
        )
        first = train_samples[0]
        say(f"species of {first.name}: {describe_types(first.types, first.species)}")
    try:
        for watcher in watchers:
            watcher.run_started(state.epochs, settings.epochs, -(-len(train_samples) // settings.batch_size))
        for epoch in range(state.epochs, settings.epochs):
            start = perf_counter()
            row = {"epoch": epoch, **_train_epoch(model, optimizer, train_samples, settings, epoch, watchers)}
            last = epoch == settings.epochs - 1
            row |= _test(model, test_samples if last or epoch % settings.evaluate_every == 0 else [], settings)
            row |= {"seconds": perf_counter() - start, "learning_rate": optimizer.param_groups[0]["lr"]}

            loss, best_loss = row["test_loss"], state.best_loss
            improved = loss is not None and (best_loss is None or loss < best_loss)
            state = TrainingState.capture(
                model, optimizer, [*state.history, row], best_loss=loss if improved else best_loss
            )
            if run is not None:
                with deferred():
                    # The best model first: a kill between the two repeats this epoch and writes the same best again.
                    if improved:
                        run.write_best(model)
                    if last or state.epochs % settings.checkpoint_every == 0:
                        run.save(state, model)
            for watcher in watchers:
                watcher.epoch_finished(row, model)
    except (KeyboardInterrupt, TrainingError) as stop:
        with deferred():
            # Back to the last finished epoch, which checkpoint_every may have left unsaved.
            state.restore(model, optimizer)
            if run is not None and state.epochs > 0:
                run.save(state, model)
        if run is not None:
            _report_interruption(stop, run, state, progress)
        raise
    finally:
        for watcher in watchers:
            watcher.run_ended()
    return TrainingResult(model.eval(), state.history, None if run is None else run.path)


def _train_epoch(
    model: BOTAN,
    optimizer: torch.optim.Optimizer,
    samples: list[Sample],
    settings: TrainingSettings,
    epoch: int,
    watchers: list[Callback],
) -> dict[str, Any]:
    """One pass over the samples in random order. Returns means over the batches: losses and gradient norm."""
    model.train()
    target = model.config["node_target"]
    generator = settings.generator(epoch)
    order = torch.randperm(len(samples), generator=generator, device="cpu").tolist()
    totals = [0.0, 0.0, 0.0, 0.0]
    starts = range(0, len(order), settings.batch_size)
    for number, start in enumerate(starts):
        batch = [samples[i] for i in order[start : start + settings.batch_size]]
        graph, node_targets, edge_targets = _make_batch(batch, target, settings.augmentation, generator)
        prediction = model(graph, settings.precision, settings.save_memory)
        # A decoder whose loss has no weight gets no gradient, rather than one of zeros.
        loss, node_loss, edge_loss = ops.loss(prediction.node, prediction.edge, node_targets, edge_targets, settings.p)

        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        values = torch.stack([loss, node_loss, edge_loss, norm]).tolist()
        if not all(map(math.isfinite, values)):
            names = ", ".join(sample.name for sample in batch)
            raise TrainingError(
                f"loss = {values[0]} and gradient norm = {values[3]} in epoch {epoch}, configuration {names}: the last "
                f"good weights are kept; lower learning_rate = {settings.learning_rate} or check that configuration"
            )
        for group in optimizer.param_groups:
            group["lr"] = settings.step_size(epoch, number, len(starts))
        optimizer.step()
        totals = [total + value for total, value in zip(totals, values, strict=True)]
        for watcher in watchers:
            watcher.batch_finished(epoch, values[0])
    means = [total / len(starts) for total in totals]
    return {
        "train_loss": means[0],
        "train_node_loss": means[1],
        "train_edge_loss": None if model.config["decoders"] == "node" else means[2],
        "gradient_norm": means[3],
    }


def _make_batch(
    samples: list[Sample], node_target: str, augmentation: str, generator: torch.Generator
) -> tuple[Graph, torch.Tensor, torch.Tensor | None]:
    """The disjoint union of the samples' graphs, each turned by its own rotation, and their targets (N,), (E,)."""
    graphs = []
    for sample in samples:
        graph = sample.graph
        rotation = random_rotation(augmentation, graph.vectors.shape[1], generator)
        if rotation is not None:
            graph = graph.replace(vectors=graph.vectors @ rotation.T.to(graph.vectors.device))
        graphs.append(graph)
    node_targets, edge_targets = [], []
    for sample in samples:
        targets = sample.targets
        assert targets is not None  # training reads no samples without
        node_targets.append(targets.node(node_target))
        if targets.pair_change is not None:
            edge_targets.append(targets.pair_change)
    edge_target = torch.cat(edge_targets) if len(edge_targets) == len(samples) else None
    graph = graphs[0] if len(graphs) == 1 else batch_graphs(graphs)
    return graph, torch.cat(node_targets), edge_target


def _test(model: BOTAN, samples: list[Sample], settings: TrainingSettings) -> dict[str, Any]:
    """The test columns of the history: None for each where there is nothing to test."""
    names = ("node_pearson", "edge_pearson", "node_pearson_pooled", "edge_pearson_pooled")
    if not samples:
        return dict.fromkeys(("test_loss", *names))
    scores = score(model, samples, precision=settings.precision)
    node_loss = scores["node_loss"]
    assert node_loss is not None  # every sample has a node target
    loss = settings.p * node_loss + (1 - settings.p) * (scores["edge_loss"] or 0.0)
    # What has no weight in the loss is not trained, and its scores are those of noise.
    noise = {0.0: "node", 1.0: "edge"}.get(settings.p, "no output")
    return {"test_loss": loss} | {name: None if name.startswith(noise) else scores[name] for name in names}


def _report_interruption(stop: BaseException, run: RunDirectory, state: TrainingState, progress: bool) -> None:
    kept = f"'{run.path}' holds {state.epochs} finished epochs"
    if isinstance(stop, Interrupted):  # of the command, which says it in its last line
        stop.saved = f"; {kept}"
    elif isinstance(stop, KeyboardInterrupt) and progress:
        say(f"interrupted: {kept}; continue with resume=True (--resume)")
