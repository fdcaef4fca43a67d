"""What a simulation keeps on the disk to continue after a kill: checkpoints, finished runs, reports."""

import contextlib
import dataclasses
import errno
import io
import json
import math
import zipfile
from pathlib import Path
from typing import ClassVar

import numpy as np

from ..errors import InputError
from ..files import is_file, printable, write_bytes
from .protocol import Protocol
from .result import ConfigurationCheck

__all__ = ["WorkFolder"]

_REPORT = {field.name for field in dataclasses.fields(ConfigurationCheck)}


class WorkFolder:
    """The folder OUTPUT.work/TEMPERATURE of a simulation::

        protocol.json           all options: a call with others is refused
        quench-0003.npz         positions, velocities, types of quench 3 after `done` of its thermostat runs
        runs/NAME/0007.npz      run 7 of a configuration that is not finished yet
        reports/NAME.json       what the physics checks measured

    Every file appears complete or not at all. What is read back is checked: it may have been damaged since. One process
    at a time: the lock of the data set's writer is this folder's too.
    """

    # Options that may differ between two calls on one output: they decide how many, not which numbers.
    FREE = ("configurations", "threads")
    # What folders had before there was a choice.
    BEFORE: ClassVar = {"replicas": "nve"}

    def __init__(self, output: Path, protocol: Protocol) -> None:
        self.path = output.with_name(output.name + ".work") / f"T{protocol.temperature:g}"
        if not output.parent.is_dir():
            raise InputError(f"output = '{output}': folder '{output.parent}' does not exist; create it first")
        try:
            (self.path / "reports").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"output = '{output}' cannot be written ({error.strerror}); choose another one") from None
        self.protocol = protocol
        self._remove_leftovers()
        options = json.loads(json.dumps(dataclasses.asdict(protocol)))
        stored = self._read_json(self.path / "protocol.json")
        for name, value in ({**self.BEFORE, **stored} if stored else {}).items():
            if name not in self.FREE and options.get(name) != value:
                raise InputError(
                    f"{printable(name, 40)} = {options.get(name)} but '{output}' was begun with {printable(value)}; "
                    "use that one, or another output"
                )
        self._write_json(self.path / "protocol.json", options)

    def _remove_leftovers(self) -> None:
        """Remove the temporary files of a simulation that was killed while it wrote."""
        for temporary in self.path.rglob(f".*.{'?' * 12}.tmp.*"):
            with contextlib.suppress(OSError):
                temporary.unlink()

    # ---- checkpoints of the thermostat --------------------------------------------------------------------------

    def save_system(self, quench: int, system: dict) -> None:
        _write_npz(self._system(quench), system)

    def load_system(self, quench: int) -> dict | None:
        atoms = (self.protocol.num_particles,)
        wanted = {"positions": (*atoms, 3), "velocities": (*atoms, 3), "types": atoms, "done": ()}
        path = self._system(quench)
        stored = _read_npz(path, wanted)
        if stored is None:
            return None
        done, types, positions = int(stored["done"]), stored["types"], stored["positions"]
        if not (
            0 < done <= len(self.protocol.pieces(quench))
            and np.isin(types, (0, 1)).all()
            and (positions >= 0).all()
            and (positions < self.protocol.length).all()
        ):
            raise _damaged(path)
        return {**stored, "done": done}

    def pieces_done(self, quench: int) -> int:
        system = self.load_system(quench)
        return 0 if system is None else system["done"]

    # ---- runs of a configuration --------------------------------------------------------------------------------

    def save_run(self, name: str, run: int, result: dict) -> None:
        path = self._run(name, run)
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_npz(path, result)

    def load_run(self, name: str, run: int) -> dict | None:
        frames = (len(self.protocol.target_times), self.protocol.num_particles, 3)
        stored = _read_npz(self._run(name, run), {"positions": frames, "drift": (), "temperature": ()})
        if stored is None:
            return None
        return {**stored, "drift": float(stored["drift"]), "temperature": float(stored["temperature"])}

    def runs_done(self, name: str) -> int:
        return len(list((self.path / "runs" / name).glob("[0-9]*.npz")))

    def remove_runs(self, name: str) -> None:
        folder = self.path / "runs" / name
        for file in folder.glob("*.npz"):
            file.unlink()
        with contextlib.suppress(OSError):
            folder.rmdir()
            folder.parent.rmdir()

    # ---- reports ------------------------------------------------------------------------------------------------

    def save_report(self, report: dict) -> None:
        self._write_json(self.path / "reports" / f"{report['name']}.json", report)

    def load_report(self, name: str) -> dict | None:
        path = self.path / "reports" / f"{name}.json"
        report = self._read_json(path)
        if report is None:
            return None
        result = {key: tuple(value) if isinstance(value, list) else value for key, value in report.items()}
        count = len(self.protocol.target_times)
        numbers = [result.get("energy_drift"), result.get("temperature"), result.get("energy", 0.0) or 0.0]
        for key, lengths in (("scattering", (count,)), ("peak_scattering", (0, count))):
            values = result.get(key, () if 0 in lengths else None)
            if not isinstance(values, tuple) or len(values) not in lengths:
                raise _damaged(path)
            numbers += values
        if result.get("name") != name or set(result) - _REPORT or not all(map(_is_number, numbers)):
            raise _damaged(path)
        return result

    def _system(self, quench: int) -> Path:
        return self.path / f"quench-{quench:04d}.npz"

    def _run(self, name: str, run: int) -> Path:
        return self.path / "runs" / name / f"{run:04d}.npz"

    @staticmethod
    def _read_json(path: Path) -> dict | None:
        is_file(path)  # refuses a pipe, which would be waited for
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError):
            raise _damaged(path) from None
        if not isinstance(value, dict):
            raise _damaged(path)
        return value

    @staticmethod
    def _write_json(path: Path, value: dict) -> None:
        write_bytes(path, (json.dumps(value, indent=1) + "\n").encode())


def _write_npz(path: Path, arrays: dict) -> None:
    content = io.BytesIO()  # in memory first: a ZipFile on a full disk reports it once more when it is collected
    np.savez(content, **arrays)
    write_bytes(path, content.getbuffer())


def _read_npz(path: Path, wanted: dict[str, tuple[int, ...]]) -> dict | None:
    """The arrays of a file, numbers of these names and shapes."""
    if not is_file(path):  # refuses a pipe, which would be waited for
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {member.filename: member.file_size for member in archive.infolist()}
        # Before an array is made: a small file could claim any size.
        if any(sizes.get(f"{name}.npy", 0) > 8 * math.prod(shape) + 1024 for name, shape in wanted.items()):
            raise _damaged(path)
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name]) for name in wanted}  # what is no array comes as bytes
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):  # the disk; the contents may be an offset that no file has
            raise
        raise _damaged(path) from None
    except Exception:  # NumPy and zipfile report damage with many kinds of errors
        raise _damaged(path) from None
    for name, shape in wanted.items():
        kinds = "iu" if name in ("types", "done") else "f"
        if arrays[name].shape != shape or arrays[name].dtype.kind not in kinds or not np.isfinite(arrays[name]).all():
            raise _damaged(path)
    return arrays


def _is_number(value: object) -> bool:
    # Compared, not converted: an integer of JSON may have any number of digits.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -1e300 < value < 1e300


def _damaged(path: Path) -> InputError:
    return InputError(f"'{path}' is damaged; remove it, or the whole folder, and call simulate again")
