"""train(): from data to a trained model. The loop itself is in `epochs`."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from typing import Any

import torch

from .. import ops
from ..arrays import Array
from ..data.loading import Data
from ..data.selection import Numbers
from ..data.species import describe_types
from ..device import Device
from ..errors import InputError
from ..files import FilePath
from ..log import logger as logger_of
from ..log import tell
from ..model.botan import BOTAN
from ..ops.precision import AUTO
from ..physics.descriptor_settings import DescriptorSettings
from ..physics.potential import PotentialLike
from .callbacks import Callback, OpenedRun
from .distributed import Team, check_batches, joined
from .epochs import RunData, train_epochs
from .learner import Learner, make_learner
from .loggers import Logger, as_loggers, by_name
from .options import TRAIN
from .preparation import prepared
from .recipes import OPTIONS, resolve
from .result import TrainingResult
from .run_directory import RunDirectory, TrainingState
from .run_file import run_file
from .settings import TrainingSettings, describe_run
from .steps import TrainingError
from .validation import is_over, result_epoch
from .watchers import Watcher, as_callbacks, default_callbacks, guarded, log_means, report_stop, should_stop

__all__ = ["TrainingError", "TrainingResult", "train"]

_LOG = logger_of(__name__)


def train(
    train: Data,
    test: Data | None = None,
    *,
    recipe: str = "paper",
    p: float | None = None,
    epochs: int | None = None,
    init: BOTAN | FilePath | None = None,
    seed: int = 0,
    output: FilePath | None = None,
    resume: bool = False,
    augmentation: str | None = None,
    learning_rate: float | None = None,
    schedule: str | None = None,
    clip_norm: float | None = None,
    batch_size: int | None = None,
    ema: float | None = None,
    weight_decay: float | None = None,
    input_noise: float | None = None,
    validation: int | float | None = None,
    patience: int | None = None,
    species_weights: str | Sequence[float] | None = None,
    target_scaling: bool | None = None,
    evaluate_every: int | None = None,
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
    node_inputs: Sequence[str] | None = None,
    edge_inputs: Sequence[str] | None = None,
    radial: Sequence[float] | None = None,
    num_species: int | None = None,
    pairs: str | None = None,
    potential: PotentialLike | None = None,
    descriptors: DescriptorSettings | Mapping[str, Any] | None = None,
    box: Array | None = None,
    density: float | None = None,
    temperature: Numbers = None,
    time: Numbers = None,
    species: Sequence[str] | None = None,
    device: Device = None,
    progress: bool = True,
    logger: Logger = None,
    callbacks: Sequence[Watcher] = (),
) -> TrainingResult:
    """Train BOTAN on configurations and their targets, by default as the paper does.

    The paper is Shiba et al., J. Chem. Phys. 158, 084503 (2023). The loss of a batch is
    p mean_i (S_hat_i - S_i)^2 + (1 - p) mean_ij (E_hat_ij - E_ij)^2, over all particles and all directed edges of its
    graphs. Adam minimises it; the gradient's norm is clipped first. Every sample is turned by a random rotation each
    time it is seen. An option that is None is the recipe's.

    Parameters
    ----------
    train, test : path, glob pattern, Dataset, list of them, or list of Sample
        Configurations with trajectories, see `load_samples`. Without `test` there are no scores.
    recipe : {"paper", "structure"}
        Defaults of the other options (`botan_fast.training.recipes.RECIPES`): those of the paper, or a small network
        that reads the inherent structure, for ten configurations rather than hundreds.
    p : float
        Weight of the node loss: 0.4 (paper) for both targets, 0 for edges only (pretraining), 1 for nodes only.
    epochs : int
        Total number of epochs, those of a resumed run included. Epochs are counted from 0.
    init : path or BOTAN, optional
        Weights to start from (`load_model` says what it reads); the architecture comes with them. Those that were
        trained on edges alone (p = 0) may get another node_target.
    seed : int
        Decides initial weights, order and rotations. The global random state of torch is neither read nor changed.
    output : path, optional
        Folder for the run's files (see `botan_fast.training.run_directory`), which one process at a time trains in;
        without it nothing is written.
    resume : bool
        Continue the run in `output` after its last saved epoch; the result is bitwise that of a run that was never
        interrupted. Every argument must be as it was, apart from epochs (with a constant schedule), checkpoint_every,
        save_memory, device, progress, logger and callbacks. A folder without a run starts one; a run with that many
        epochs is returned as it is.
    augmentation : {"octahedral", "o3", "none"}
        Distribution of the rotations, see `botan_fast.training.augmentation.random_rotation`.
    learning_rate, clip_norm : float
        Step size of Adam, and the largest norm of a gradient.
    schedule : {"constant", "cosine"}
        How the step size goes along the run; the authors keep it constant. "cosine" raises it from 0 to learning_rate
        within the first twentieth of the steps and lets it fall to 0 along a half cosine: short runs get further with
        it, at a larger learning_rate. Its steps depend on `epochs`, so such a run cannot be extended on resume.
    batch_size : int, optional
        Graphs in a batch, of all processes together where several train one model (docs/training.md); by default 1,
        and 5 for p = 1.
    ema : float
        Decay of the moving average of the weights, such as 0.99 (`botan_fast.training.average`), 0 for none. The model
        of averaged weights is what is scored, saved and returned.
    weight_decay : float
        Of all weights, in units of the step size: AdamW (Loshchilov & Hutter, arXiv:1711.05101); 0 is Adam.
    input_noise : float
        Standard deviation of Gaussian noise on the node inputs that are scaled numbers, in units of their widths, drawn
        anew each time a sample is seen; 0 for none.
    validation : int or float
        Training configurations that are held back, their number or a fraction of them; whole ones, chosen by the seed.
        Their loss then says which model is the best.
    patience : int
        Stop after an evaluation with no lower loss on the validation (or else the test) configurations since so many
        epochs, 0 for never. The result is then the best model, whether or not the run stopped early.
    species_weights : "particles", "equal" or list of float
        Of the node loss: all particles alike, all species alike, or a weight for the mean over each species.
    target_scaling : bool
        Targets are scaled by mean and width of each species and pair of species (and time, `BOTAN`, scaled): the loss
        is then in units of the widths, test_loss and validation_loss too.
    evaluate_every : int
        Scores are computed after the epochs 0, k, 2k, ... and after the last one.
    checkpoint_every : int
        The run is saved after every k-th epoch and the last one; also when it is interrupted.
    precision : {"fp32", "bf16", "tf32", "auto"}
        How matrix products are computed, in training and in its tests; see docs/precision.md. Weights are float32.
        "auto" is the fastest one on this device that keeps the learning curve of fp32 (`ops.resolve_precision`), and of
        a resumed run the one that it has, on whatever machine.
    save_memory : bool
        Keep fewer edge arrays for the backward pass and compute them again: larger graphs in the same memory, in more
        time, with the same bits on a CPU (see `BOTAN`).
    hidden_size, num_steps, decoders, edge_node_skip, self_edges, cutoff, node_target : optional
        Options of `BOTAN`, with its defaults; for p = 1 the default of `decoders` is "node". With `init` they come from
        there, as do the following ones.
    node_inputs, edge_inputs, radial, num_species : optional
        What the model reads, see `BOTAN`; the number of species is that of the data. Means and widths of inputs are
        those of the training data, and stay those of `init`.
    pairs : {"thermal", "inherent", "union"}
        Positions by whose distance pairs are edges, where the model reads the inherent structure.
    potential : LennardJones or "kob-andersen"
        Whose minimum the inherent structure is; by default that of the minima which the data hold, or Kob-Andersen.
    descriptors : DescriptorSettings or dict of its entries
        Which descriptors, for the node input of that name: smaller systems need a smaller `smear_radius`.
    box, density, temperature, time, species : optional
        Periodic box of the files, the choice of temperature and time, and which species is A, see `load_samples`. With
        several times the model has an output for each, in ascending order (`model.card.times`); the loss is the mean
        over those that a configuration has, and the history has their scores one by one.
    device : str or torch.device, optional
        By default the GPU if torch has one (of several processes each its own), else the CPU. On CUDA the steps of a
        process alone are replays of one CUDA graph; BOTAN_FAST_CAPTURE=0 in the environment makes them one by one
        (docs/training-gpu.md).
    progress : bool
        Show progress: a bar in a terminal or a notebook, lines in a log file.
    logger : {"tensorboard", "wandb"}, Callback, or list of them, optional
        Where the numbers of the history go besides history.csv (`botan_fast.callbacks.TensorBoard`, `WandB`).
    callbacks : sequence
        `botan_fast.callbacks.Callback` objects, or functions that are called with each new line of the history. They
        may end the run, as `EarlyStopping` does.

    Returns
    -------
    TrainingResult
        model (in eval mode, on `device`), history, output, epoch, replays, stopped.

    Raises
    ------
    InputError, DataError, CheckpointError
        for wrong arguments, data files, and weights or run files.
    TrainingError
        when the loss or the gradient is not finite, or another process of the run is gone. What is saved stays.
    CallbackError
        when a callback raises an error, after the last finished epoch has been saved.
    KeyboardInterrupt
        on Ctrl-C, after the last finished epoch has been saved; pressed again meanwhile, it is saved all the same.

    Warns
    -----
    BotanFastWarning
        Test configurations are among those of the training, the targets are of one run, type 0 is the minority,
        num_steps is 0, there are several temperatures and no node input "temperature", given samples mix several times
        in one target, or on CUDA the steps cannot be captured as a CUDA graph (docs/training-gpu.md).

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
    arguments = dict(locals())
    given = {name: value for name, value in arguments.items() if name in OPTIONS and value is not None}
    reading = {"box": box, "density": density, "temperature": temperature, "time": time, "species": species}
    with joined(device) as (team, device), contextlib.ExitStack() as folder:
        with team.agreed():
            settings, options = _settings(recipe, given, seed, checkpoint_every, precision, save_memory)
            check_batches(settings.batch_size, team.size)
            watching = [] if team.rank else [*as_loggers(logger, output), *as_callbacks(callbacks)]
            names, loggers = by_name(logger)
            arguments |= {"logger": names or None, "callbacks": [*loggers, *callbacks]}
            run = None if output is None else RunDirectory(output)
            if run is not None:
                run.options = run_file("train", TRAIN, arguments, run.path, team.size)
            if resume and run is None:
                raise InputError("resume = True needs output, the folder of the run to continue")
        # Before the data are read: is the folder free, and can it be written to?
        if run is not None:
            team.first(partial(_hold, folder, run, resume))
        return _train(settings, run, train, test, init, given, options, reading, device, progress, watching, team)


def _settings(
    recipe: str, given: dict[str, Any], seed: int, checkpoint_every: int, precision: str, save_memory: bool
) -> tuple[TrainingSettings, dict[str, Any]]:
    """The settings, checked, and the options with the recipe's where none was given."""
    options = resolve(recipe, given)
    if options["batch_size"] is None:
        options["batch_size"] = 5 if options["p"] == 1 else 1
    settings = TrainingSettings(
        **{field.name: options[field.name] for field in fields(TrainingSettings) if field.name in options},
        seed=seed,
        checkpoint_every=checkpoint_every,
        precision=precision,
        save_memory=save_memory,
    )
    return settings, options


def _hold(folder: contextlib.ExitStack, run: RunDirectory, resume: bool) -> None:
    folder.enter_context(run.held(resume))


def _train(
    settings: TrainingSettings,
    run: RunDirectory | None,
    train: Data,
    test: Data | None,
    init: BOTAN | FilePath | None,
    model_options: dict[str, Any],
    resolved: dict[str, Any],
    reading: dict[str, Any],
    device: torch.device,
    progress: bool,
    callbacks: list[Callback],
    team: Team,
) -> TrainingResult:
    """`train` with its settings checked and its folder its own. Of several processes, process 0 writes and speaks."""
    path, run, progress = None if run is None else run.path, None if team.rank else run, progress and not team.rank
    data, model, settings = prepared(settings, train, test, init, model_options, resolved, reading, progress, team)
    asked = settings.precision
    if asked == AUTO:
        settings = replace(settings, precision=team.first(partial(_precision, run, device, model)))
    box, density = reading["box"], reading["density"]
    with team.agreed():
        description = describe_run(settings, model, init, data.train, data.test, box, density, data.validation, asked)
    team.check_together(description | {"output": str(path)})
    description |= {"processes": team.size} if team.size > 1 else {}
    data = data.to(device)
    model.to(device)
    ops.warn_if_slow(model.config["hidden_size"], settings.precision, device)
    learner = make_learner(model, settings)

    state = team.first(partial(_begun, learner, run, description))
    if team.rank:
        learner.restore(state)
    if not is_over(state.history, settings):
        # The bar begins last and ends first.
        watchers = [] if team.rank else guarded([*callbacks, *default_callbacks(progress)])
        for watcher in watchers:
            watcher.run_opened(OpenedRun(path, description, state.history, progress))
        state.stopped = team.first(partial(should_stop, watchers))  # a resumed run ends where it would have
        if state.stopped is None:
            if not team.rank:
                _say_what(device, data, state, settings, asked, progress, team.size)
                log_means(model, settings, device)
            state = train_epochs(learner, state, run, data, settings, watchers, progress, team)
        report_stop(state, progress)
    model, epoch = learner.result(state).eval(), result_epoch(state.history, settings)
    return TrainingResult(model, state.history, path, epoch, learner.replays, state.stopped)


def _precision(run: RunDirectory | None, device: torch.device, model: BOTAN) -> str:
    """The one that the run has, or the fastest."""
    found = None if run is None else run.recorded_precision()
    return found or ops.resolve_precision(AUTO, device, model.config["hidden_size"])


def _begun(learner: Learner, run: RunDirectory | None, description: dict[str, Any]) -> TrainingState:
    """The state that the run begins with, or that its folder holds; the learner has it."""
    state = learner.capture(history=[], best_loss=None, best={})
    if run is not None:
        state = run.open(description, state)
        learner.restore(state)
        if state.epochs:
            run.repair_results(state, learner.result(state))
    return state


def _say_what(
    device: torch.device,
    data: RunData,
    state: TrainingState,
    settings: TrainingSettings,
    asked: str,
    show: bool,
    processes: int,
) -> None:
    together = f" in {processes} processes" if processes > 1 else ""
    together += " without a CUDA graph" if processes > 1 and device.type == "cuda" else ""
    held = f", {len(data.validation)} held back" if data.validation else ""
    chosen = f" in {settings.precision} (precision = 'auto')" if asked == AUTO else ""
    tell(
        _LOG,
        f"training on {device}{together}{chosen}: {len(data.train)} configurations, {len(data.test)} to test{held}, "
        f"epochs {state.epochs} to {settings.epochs - 1}",
        show,
    )
    first = data.train[0]
    tell(_LOG, f"species of {first.name}: {describe_types(first.types, first.species)}", show)
