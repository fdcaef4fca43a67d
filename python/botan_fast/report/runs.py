"""What a run folder tells: its options, its history, its model and its test data."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..data.loading import Data
from ..errors import CheckpointError, InputError
from ..evaluation.forward import NamedModel, named_model
from ..files import FilePath, is_file, near_matches, printable
from ..model.shipped import shipped_models
from ..option import OBJECTS, check_table, read_toml
from ..training.options import BASELINE, TRAIN
from ..training.run_directory import RunDirectory
from ..training.run_file import NAME

__all__ = ["READING_NAMES", "Run", "read_run"]

READING_NAMES = ("box", "density", "temperature", "time", "species")
_LARGEST_FILE = 10_000_000  # bytes of run.toml and config.json, which people may have made


@dataclass(frozen=True)
class Run:
    """A run folder, or a model file, as a report needs it.

    name      of the folder
    path      of the folder or file
    kind      "train", "baseline", or "model": a file of which nothing else is known
    model     the model, as `evaluate` takes it
    options   what run.toml says, by the names of the arguments of `train`
    objects   arguments that were objects in Python, which run.toml cannot hold
    run_file  the text of run.toml, "" where there is none
    config    what config.json says: "settings", "model", "train", ...
    history   one dict for each epoch
    stopped   why a callback has ended the run, or None
    """

    name: str
    path: Path
    kind: str
    model: NamedModel
    options: Mapping[str, Any] = field(default_factory=dict)
    objects: Sequence[str] = ()
    run_file: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[Mapping[str, Any]] = ()
    stopped: str | None = None

    @property
    def test(self) -> Data | None:
        """The test data that run.toml names, or None."""
        found: Data | None = self.options.get("test")
        return found

    @property
    def reading(self) -> dict[str, Any]:
        """How the run read its data: box, density, temperature, time, species."""
        return {name: self.options.get(name) for name in READING_NAMES}

    @property
    def command(self) -> str | None:
        """The command that repeats the run, or None where no run.toml says how."""
        if not self.run_file:
            return None
        path = str(self.path.absolute() / NAME)
        return shlex.join(["botan-fast", self.kind, "--config", path, "--output", "ANOTHER"])


def read_run(path: FilePath) -> Run:
    """Read a run folder of `train` or `train_baseline`, or a model file.

    Raises
    ------
    InputError
        where there is nothing at `path`.
    CheckpointError
        for files that cannot be read, or are no files of a run.

    Examples
    --------
    >>> from botan_fast.report.runs import read_run
    >>> run = read_run("ka-t0.44-tau")
    >>> run.name, run.kind, run.command
    ('ka-t0.44-tau', 'model', None)
    """
    text = str(path)
    if text in shipped_models():
        return Run(text, Path(text), "model", named_model(text))
    folder = Path(path)
    if not text or not folder.exists():
        near = near_matches(folder) if text else ""
        raise InputError(f"runs: '{printable(text)}' does not exist{near or '; give a run folder, or a model file'}")
    name = folder.resolve().name or text
    model = named_model(path)
    if not folder.is_dir():
        return Run(name, folder, "model", model)
    directory = RunDirectory(folder)
    kind = "baseline" if is_file(folder / "baseline.json") else "train"
    options, objects, run_file = _options(folder / NAME, kind)
    if kind == "baseline":
        return Run(name, folder, kind, model, options, objects, run_file, _scores_of_baseline(folder))
    config = directory.read_config() if is_file(directory.config_file) else {}
    state = directory.read_state()
    history, stopped = ([], None) if state is None else (state.history, state.stopped)
    return Run(name, folder, kind, model, options, objects, run_file, config, history, stopped)


def _options(path: Path, kind: str) -> tuple[dict[str, Any], tuple[str, ...], str]:
    """What run.toml says: options, objects, and the text itself; nothing where there is none."""
    if not is_file(path):
        return {}, (), ""
    table = read_toml(path)
    objects = table.pop(OBJECTS, [])
    if not isinstance(objects, list) or not all(isinstance(name, str) for name in objects):
        raise InputError(f"{printable(path)}: {OBJECTS} = {printable(objects, 60)}; give a list of names, or none")
    options = check_table(BASELINE if kind == "baseline" else TRAIN, table, printable(path), path.parent)
    return options, tuple(objects), path.read_text(encoding="utf-8")


def _scores_of_baseline(folder: Path) -> dict[str, Any]:
    """baseline.json: penalties and seconds of a fit."""
    path = folder / "baseline.json"
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ValueError(f"it has more than {_LARGEST_FILE // 10**6} MB")
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = printable(getattr(error, "strerror", None) or error)
        raise CheckpointError(f"{printable(path)} cannot be read ({reason}); fit the baseline again") from None
    if not isinstance(found, dict):
        raise CheckpointError(f"{printable(path)} is not the file of a baseline; fit it again")
    return found
