"""The files of a training run, and the state that a run continues from.

    run.toml                     the options of the run, for `--config` to repeat it (`run_file`), written at its
                                 beginning, and by a resumed run that has others
    config.json                  settings, data and model of the run, written once at its beginning
    training_state.safetensors   weights, optimizer and history after the last saved epoch, with `ema` and `patience`
                                 averaged and best weights too: what resume reads
    last.safetensors             the model after the last saved epoch, with `ema` of averaged weights, with `patience`
                                 the best one so far: what load_model reads for a run directory
    best.safetensors             the model with the lowest validation loss, or test loss without a validation part
    history.csv                  one line for each epoch
    tensorboard/                 with logger="tensorboard"
    wandb_id.txt, wandb/         with logger="wandb": which run of Weights & Biases this is, and its files

`training_state.safetensors` alone decides where a run stands. It is replaced in one step, so a kill at any moment
leaves the state of one epoch, never a mixture; the other files follow from it and are written again on resume.
"""

import contextlib
import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from ..errors import CheckpointError, DataError, InputError
from ..files import FilePath, is_file, printable, remove_leftovers, write_bytes
from ..interruption import deferred, orderly
from ..lock import Lock
from ..log import logger
from ..model.botan import BOTAN
from ..model.checkpoint import load_model, save_model
from ..ops.precision import PRECISIONS
from . import run_file
from .settings import check_resumed

__all__ = ["HISTORY_COLUMNS", "RunDirectory", "TrainingState", "copy_of_weights"]

_LOG = logger(__name__)

HISTORY_COLUMNS = (
    "epoch",
    "train_loss",
    "train_node_loss",
    "train_edge_loss",
    "test_loss",
    "node_pearson",
    "edge_pearson",
    "node_pearson_pooled",
    "edge_pearson_pooled",
    "gradient_norm",
    "seconds",
    "learning_rate",
)
# Columns of runs with a validation part, and of models with several times.
_MORE = re.compile(r"(validation_)?(loss|(node|edge)_pearson(\[t=[0-9.e+-]+\])?)")
_STATE_FORMAT = "botan_fast training state 1"
_PARTS = ("weights", "optimizer", "average", "best")  # of TrainingState, each its tensors by name


@dataclass
class TrainingState:
    """Everything that the next epoch depends on. The random numbers of an epoch follow from (seed, epoch) alone."""

    weights: dict[str, torch.Tensor]
    optimizer: dict[str, torch.Tensor]  # "exp_avg.node_encoder.fc1.weight", ...
    history: list[dict]
    best_loss: float | None  # lowest validation or test loss so far
    average: dict[str, torch.Tensor] = field(default_factory=dict)  # with `ema`
    best: dict[str, torch.Tensor] = field(default_factory=dict)  # with `patience`: those of best_loss
    stopped: str | None = None  # why a callback has ended the run after the last epoch

    @property
    def result(self) -> dict[str, torch.Tensor]:
        """The weights that the run would give if it ended here."""
        return self.best or self.average or self.weights

    @property
    def epochs(self) -> int:
        """Number of finished epochs."""
        return len(self.history)

    @classmethod
    def capture(
        cls,
        model: BOTAN,
        optimizer: torch.optim.Optimizer,
        history: list[dict],
        best_loss: float | None,
        average: BOTAN | None = None,
        best: dict[str, torch.Tensor] | None = None,
    ) -> "TrainingState":
        """Copy the state of a run between two epochs."""
        moments = {
            f"{key}.{name}": value.detach().cpu().clone()
            for name, parameter in model.named_parameters()
            for key, value in optimizer.state.get(parameter, {}).items()
        }
        rows = [dict(row) for row in history]
        averaged = {} if average is None else copy_of_weights(average)
        return cls(copy_of_weights(model), moments, rows, best_loss, averaged, best or {})

    def restore(self, model: BOTAN, optimizer: torch.optim.Optimizer, average: BOTAN | None = None) -> None:
        """Put the state back into a model, its optimizer, and the average of its weights."""
        expected = {name: value.shape for name, value in model.state_dict().items()}
        kept = {"weights": self.weights}
        if average is not None:
            kept["averages"] = self.average
        if self.best:
            kept["best weights"] = self.best
        for what, tensors in kept.items():
            if {name: value.shape for name, value in tensors.items()} != expected:
                odd = sorted(tensors.keys() ^ expected.keys()) or ["some shapes"]
                raise CheckpointError(f"the run's {what} do not fit its model ({printable(odd[0])}); start a new run")
        held = [value for tensors in (*kept.values(), self.optimizer) for value in tensors.values()]
        if not all(value.is_floating_point() for value in held):
            raise CheckpointError("the run's weights or optimizer are not floating-point numbers; start a new run")
        model.load_state_dict(self.weights)
        if average is not None:
            average.load_state_dict(self.average)
        optimizer.state.clear()
        for name, parameter in model.named_parameters():
            moments = {
                key.removesuffix(f".{name}"): value.clone()
                for key, value in self.optimizer.items()
                if key.endswith(f".{name}") and "." not in key.removesuffix(f".{name}")
            }
            shapes = {key: value.shape for key, value in moments.items()}
            if shapes not in ({}, {"step": (), "exp_avg": parameter.shape, "exp_avg_sq": parameter.shape}):
                raise CheckpointError(f"the run's optimizer does not fit its model ({name}); start a new run")
            if moments:  # a decoder that the loss does not reach has none
                # The moments live with their parameter; Adam counts its steps on the CPU, unless a CUDA graph may.
                on_cpu = () if optimizer.defaults.get("capturable") else ("step",)
                optimizer.state[parameter] = {
                    key: value if key in on_cpu else value.to(parameter.device) for key, value in moments.items()
                }


def copy_of_weights(model: BOTAN) -> dict[str, torch.Tensor]:
    """The state_dict, on the CPU, and no longer the model's."""
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


def _check_history(history: Any, best_loss: Any, stopped: Any) -> None:
    """ValueError unless they are rows of epochs, numbers or None in the known columns; a number; a text; or None."""
    numbers = (int, float, type(None))
    rows = isinstance(history, list) and all(isinstance(row, dict) for row in history)
    if not rows or not all(name in HISTORY_COLUMNS or _MORE.fullmatch(name) for row in history for name in row):
        raise ValueError("its history has other columns")
    if not isinstance(best_loss, numbers) or not all(isinstance(x, numbers) for row in history for x in row.values()):
        raise ValueError("its history does not hold numbers")
    if not isinstance(stopped, (str, type(None))):
        raise ValueError("why it stopped is no text")


class RunDirectory:
    """The files of one run in the folder `path`."""

    def __init__(self, path: FilePath) -> None:
        if not str(path):
            raise InputError("output = '' is empty; name a folder")
        self.path = Path(path)
        self.options: bytes | None = None  # what run.toml will hold
        self.options_file = self.path / run_file.NAME
        self.config_file = self.path / "config.json"
        self.state_file = self.path / "training_state.safetensors"
        self.last_file = self.path / "last.safetensors"
        self.best_file = self.path / "best.safetensors"
        self.history_file = self.path / "history.csv"
        self._files = (self.config_file, self.state_file, self.last_file, self.best_file, self.history_file)

    def has_run(self) -> bool:
        """Is there anything of a run in the folder?"""
        return any(file.exists() for file in self._files)

    @contextlib.contextmanager
    def held(self, resume: bool) -> Iterator[None]:
        """The folder for this process alone, made if need be; it goes again where nothing was written into it.

        InputError when another process uses it, when it cannot be written to, and without `resume` when it has a run.
        """
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"output = '{self.path}' is a file; name a folder")
        missing = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        lock = self._lock()
        try:
            with orderly():
                if not resume:
                    self._check_unused()
                yield
        finally:
            with deferred():
                if lock is not None:
                    lock.release()
                with contextlib.suppress(OSError):  # up to the first that holds something
                    for folder in missing:
                        folder.rmdir()

    def _lock(self) -> Lock | None:
        try:
            while True:
                self.path.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(FileNotFoundError):  # a run that ended without a file has removed the folder
                    lock = Lock.acquire(self.path / ".lock")
                    break
        except OSError as error:
            if self.state_file.exists():  # a finished run can be read where nothing can be written
                return None
            what = "written to" if self.path.is_dir() else "created"
            raise InputError(
                f"output = '{self.path}' cannot be {what} ({error.strerror}); name another folder"
            ) from error
        if lock is None:
            raise InputError(
                f"output = '{self.path}' is in use by another process that trains there; wait for it, or name another "
                "folder"
            )
        return lock

    def _check_unused(self) -> None:
        if self.has_run():
            raise InputError(
                f"output = '{self.path}' holds a run already; continue it with resume=True (--resume), "
                "or name another folder"
            )

    def open(self, description: dict[str, Any], fresh: TrainingState) -> TrainingState:
        """The state to start from: the one that the folder holds, or `fresh` where no epoch is finished yet.

        InputError when the run began with another description, see `check_resumed`.
        """
        state = None
        self.remove_leftovers()
        if self.has_run():
            check_resumed(self.read_config(), description, self.path)
            state = self.read_state()
        if state is None or state.epochs < description["settings"]["epochs"]:
            self.write_config(description)  # a continued run may have more epochs than before
            self.write_options()
        return fresh if state is None else state

    def write_options(self) -> None:
        """Write run.toml, where it does not say the same."""
        if self.options is not None:
            run_file.write_run_file(self.options_file, self.options)

    def write_config(self, config: dict) -> None:
        """Write config.json."""
        write_bytes(self.config_file, (json.dumps(config, indent=2) + "\n").encode())

    def read_config(self) -> dict:
        """The contents of config.json; CheckpointError when it is missing or broken."""
        try:
            is_file(self.config_file)  # refuses a pipe, which would be waited for
            config = json.loads(self.config_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise CheckpointError(
                f"output = '{self.path}' holds files of a run but no config.json; name another folder"
            ) from None
        except DataError:
            raise
        except (OSError, ValueError, RecursionError) as error:
            reason = printable(getattr(error, "strerror", None) or error)
            raise CheckpointError(f"{self.config_file} cannot be read ({reason}); name another folder") from error
        if not isinstance(config, dict):
            raise CheckpointError(f"{self.config_file} is not the config.json of a run; name another folder")
        return config

    def recorded_precision(self) -> str | None:
        """The precision of the run that the folder holds, which a resumed one keeps on any machine; None without."""
        if not self.has_run():
            return None
        settings = self.read_config().get("settings")
        found = settings.get("precision", "fp32") if isinstance(settings, dict) else None
        return found if found in PRECISIONS else None  # `open` refuses a run that has another

    def save(self, state: TrainingState, model: BOTAN) -> None:
        """Save a state, from which on the run continues after its last epoch; `model` has the state's `result`."""
        tensors = {f"{part}.{name}": value for part in _PARTS for name, value in getattr(state, part).items()}
        metadata = {
            "format": _STATE_FORMAT,
            "history": json.dumps(state.history),
            "best_loss": json.dumps(state.best_loss),
            **({} if state.stopped is None else {"stopped": json.dumps(state.stopped)}),
        }
        # Not save_file: it makes its own file, which only its owner may read.
        write_bytes(self.state_file, safetensors.torch.save(tensors, metadata))
        _LOG.debug("saved %s after %d epochs", self.state_file, state.epochs)
        self.write_results(state, model)

    def write_results(self, state: TrainingState, model: BOTAN) -> None:
        """Write what follows from a state: the model for load_model, the history for people."""
        save_model(model, self.last_file)
        write_bytes(self.history_file, _history(state))

    def repair_results(self, state: TrainingState, model: BOTAN) -> None:
        """Write them again where a kill or a full disk left those of an earlier epoch."""
        with contextlib.suppress(OSError, CheckpointError):
            if self.history_file.read_bytes() == _history(state):
                weights = load_model(self.last_file).state_dict()
                if weights.keys() == state.result.keys() and all(
                    torch.equal(weights[name], value) for name, value in state.result.items()
                ):
                    return
        self.write_results(state, model)

    def write_best(self, model: BOTAN) -> None:
        """Write the model with the lowest loss so far."""
        save_model(model, self.best_file)
        _LOG.debug("saved %s, the lowest loss so far", self.best_file)

    def read_state(self) -> TrainingState | None:
        """The saved state, or None before the first one; CheckpointError when the file is broken."""
        try:
            if not is_file(self.state_file):
                return None
            with safetensors.safe_open(self.state_file, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
            if metadata.get("format") != _STATE_FORMAT:
                raise ValueError(f"format is {metadata.get('format')!r}, expected {_STATE_FORMAT!r}")
            history, best_loss = json.loads(metadata["history"]), json.loads(metadata["best_loss"])
            stopped = json.loads(metadata.get("stopped", "null"))
            _check_history(history, best_loss, stopped)
        except (safetensors.SafetensorError, OSError, ValueError, KeyError, RecursionError) as error:
            raise CheckpointError(
                f"{self.state_file} cannot be read ({printable(error)}); start a new run, "
                f"with init='{self.last_file}' to keep the weights"
            ) from error
        parts = {
            part: {
                name.removeprefix(f"{part}."): value for name, value in tensors.items() if name.startswith(f"{part}.")
            }
            for part in _PARTS
        }
        return TrainingState(**parts, history=history, best_loss=best_loss, stopped=stopped)

    def remove_leftovers(self) -> None:
        """Remove the temporary files of a run that was killed while it wrote."""
        remove_leftovers(*self._files, self.options_file)


def _history(state: TrainingState) -> bytes:
    """history.csv."""
    text = io.StringIO(newline="")
    more = dict.fromkeys(name for row in state.history for name in row if name not in HISTORY_COLUMNS)
    writer = csv.DictWriter(text, (*HISTORY_COLUMNS, *more))
    writer.writeheader()
    writer.writerows(state.history)
    return text.getvalue().encode()
