"""Where the numbers of a run go besides history.csv: TensorBoard and Weights & Biases. `train(logger=...)`."""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import InputError
from ..files import FilePath, did_you_mean, is_file, printable, write_bytes
from .callbacks import Callback, OpenedRun

if TYPE_CHECKING:
    from ..model.botan import BOTAN

__all__ = ["LOGGERS", "Logger", "TensorBoard", "WandB", "as_loggers", "by_name"]

Logger: TypeAlias = str | Callback | Sequence[str | Callback] | None  # what logger= takes


class TensorBoard(Callback):
    """Every number of the history as a TensorBoard scalar; ``tensorboard --logdir FOLDER`` shows them.

    What a killed run wrote after its last saved epoch is dropped when it is resumed: those epochs come again.

    Parameters
    ----------
    folder : path, optional
        By default tensorboard/ in the run folder.

    Raises
    ------
    InputError
        Without the package (extra `tensorboard`), and in a run without output where no folder is given.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> import botan_fast as bf
    >>> from botan_fast.callbacks import TensorBoard
    >>> folder = tempfile.TemporaryDirectory()
    >>> rng = np.random.default_rng(0)
    >>> x = rng.random((100, 3)) * (100 / 1.2) ** (1 / 3)
    >>> np.savez(folder.name + "/a.npz", types=np.arange(100) % 2, initial_positions=x,
    ...     positions=x + 0.1 * rng.standard_normal((8, 100, 3)))
    >>> curves = TensorBoard(folder.name + "/curves")
    >>> result = bf.train(folder.name + "/a.npz", epochs=1, hidden_size=8, num_steps=1, progress=False, logger=curves)

    With ``logger="tensorboard"`` they are in the run folder.
    """

    def __init__(self, folder: FilePath | None = None) -> None:
        _require("tensorboard")
        self.folder = None if folder is None else Path(folder)
        self._writer: Any = None

    def run_opened(self, run: OpenedRun) -> None:
        """Know the folder; InputError where there is none."""
        if self.folder is None and run.output is None:
            raise InputError("logger = 'tensorboard' needs output, the folder of the run; or give TensorBoard(folder)")
        self._folder = self.folder or Path(str(run.output)) / "tensorboard"

    def run_started(self, first_epoch: int, epochs: int, batches: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(self._folder), purge_step=first_epoch)

    def epoch_finished(self, row: dict[str, Any], model: BOTAN) -> None:
        for name, value in _numbers(row).items():
            self._writer.add_scalar(name, value, row["epoch"])

    def run_ended(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class WandB(Callback):
    """Every number of the history in Weights & Biases, by epoch; the settings of the run are its config.

    The run there has the name of the run folder, its project that of the folder around it (of runs/ in a sweep the
    sweep's). Its id is kept in the run folder, wandb_id.txt: a run that is resumed goes on in the same curves. Epochs
    that come again after a kill are the same, and Weights & Biases keeps what it has. ``WANDB_MODE=offline`` in the
    environment needs neither network nor account; ``wandb sync`` uploads later.

    Parameters
    ----------
    project, name : str, optional
        In place of those of the folders; WANDB_PROJECT and WANDB_NAME in the environment count too.
    options
        Further arguments of `wandb.init`, such as ``group="T0.44"`` or ``tags=["paper"]``.

    Raises
    ------
    InputError
        Without the package (extra `wandb`), and when wandb cannot begin, such as without an account.

    Examples
    --------
    >>> from botan_fast.callbacks import WandB
    >>> logger = WandB(project="glass", mode="offline")  # doctest: +SKIP

    In a run: ``bf.train("train.h5", output="run", logger="wandb")``
    """

    def __init__(self, project: str | None = None, name: str | None = None, **options: Any) -> None:
        _require("wandb")
        self.project, self.name, self.options = project, name, options
        self._run: Any = None

    def run_opened(self, run: OpenedRun) -> None:
        """Know the run's folder, its settings and its id there."""
        self._opened = run

    def run_started(self, first_epoch: int, epochs: int, batches: int) -> None:
        import wandb

        folder = self._opened.output
        config = {**self._opened.config.get("settings", {}), "model": self._opened.config.get("model", {})}
        options: dict[str, Any] = {"config": config}
        if folder is not None:
            path = Path(os.path.abspath(folder))
            around = path.parent.parent if path.parent.name == "runs" else path.parent
            options |= {"dir": str(path), "id": _kept_id(path), "resume": "allow"}
            options["name"] = os.environ.get("WANDB_NAME") or path.name
            options["project"] = os.environ.get("WANDB_PROJECT") or re.sub(r"[\\/#?%:]", "_", around.name)[:128] or None
        options |= {key: value for key, value in (("project", self.project), ("name", self.name)) if value is not None}
        # Its copy of standard error would take the progress bar apart.
        options["settings"] = wandb.Settings(console="off", quiet=not self._opened.progress)
        try:
            self._run = wandb.init(**options | self.options)
        except Exception as error:
            raise InputError(
                f"logger = 'wandb' cannot begin ({printable(error)}); log in with `wandb login`, or set "
                "WANDB_MODE=offline in the environment"
            ) from error

    def epoch_finished(self, row: dict[str, Any], model: BOTAN) -> None:
        self._run.log(_numbers(row), step=row["epoch"])

    def run_ended(self) -> None:
        if self._run is not None:
            run, self._run = self._run, None
            run.finish(exit_code=0 if sys.exc_info()[1] is None else 1)


LOGGERS = {"tensorboard": TensorBoard, "wandb": WandB}


def by_name(logger: Logger) -> tuple[list[str], list[Callback]]:
    """The names and the callbacks of `train(logger=)`, a part that run.toml can hold, and one that it cannot.

    >>> from botan_fast.training.loggers import by_name
    >>> by_name("wandb")
    (['wandb'], [])
    """
    parts = _parts(logger)
    return [one for one in parts if isinstance(one, str)], [one for one in parts if isinstance(one, Callback)]


def _parts(logger: Logger) -> Sequence[str | Callback]:
    return [] if logger is None else [logger] if isinstance(logger, (str, Callback)) else logger


def as_loggers(logger: Logger, output: FilePath | None) -> list[Callback]:
    """The callbacks of `train(logger=)`: names, callbacks, or a list of both. InputError before any work is done."""
    found: list[Callback] = []
    if not isinstance(_parts(logger), (list, tuple)):
        raise InputError(f"logger = {logger!r}; choose of {', '.join(LOGGERS)}, or give a Callback, or a list of them")
    for one in _parts(logger):
        if isinstance(one, Callback):
            found.append(one)
        elif not isinstance(one, str) or one not in LOGGERS:
            meant = did_you_mean(one, LOGGERS, show=repr) if isinstance(one, str) else ""
            raise InputError(f"logger = {one!r}; choose of {', '.join(LOGGERS)}, or give a Callback{meant}")
        elif not any(type(other) is LOGGERS[one] for other in found):
            found.append(LOGGERS[one]())
    for one in found:
        if isinstance(one, TensorBoard):
            one.run_opened(OpenedRun(output=None if output is None else Path(output)))
    return found


def _require(package: str) -> None:
    """InputError unless the package is there; it is not loaded yet."""
    if package not in sys.modules and importlib.util.find_spec(package) is None:
        raise InputError(
            f"logger = '{package}' needs the package {package}, which is not installed; "
            f"pip install 'botan_fast[{package}]', or leave the logger out"
        )


def _numbers(row: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in row.items() if name != "epoch" and value is not None}


def _kept_id(folder: Path) -> str:
    """The id of the run in Weights & Biases, from its folder; a new one is kept there."""
    file = folder / "wandb_id.txt"
    if is_file(file):
        text = file.read_text(encoding="utf-8", errors="replace").strip()
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text):
            raise InputError(f"{file} does not hold the id of a run of wandb; remove it to begin a new one there")
        return text
    new = secrets.token_hex(4)
    write_bytes(file, f"{new}\n".encode())
    return new
