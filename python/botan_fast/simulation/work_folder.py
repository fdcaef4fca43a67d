"""What a simulation keeps on the disk to continue after a kill: checkpoints, finished runs, reports."""

import contextlib
import dataclasses
import io
import json
import zipfile
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import write_bytes
from .protocol import Protocol

__all__ = ["WorkFolder"]


class WorkFolder:
    """The folder OUTPUT.work/TEMPERATURE of a simulation::

        protocol.json           all options: a call with others is refused
        quench-0003.npz         positions, velocities, types of quench 3 after `done` of its thermostat runs
        runs/NAME/0007.npz      run 7 of a configuration that is not finished yet
        reports/NAME.json       what the physics checks measured

    Every file appears complete or not at all. One process at a time: the lock of the data set's writer is this
    folder's too.
    """

    # Options that may differ between two calls on one output: they decide how many, not which numbers.
    FREE = ("configurations", "threads")

    def __init__(self, output: Path, protocol: Protocol) -> None:
        self.path = output.with_name(output.name + ".work") / f"T{protocol.temperature:g}"
        if not output.parent.is_dir():
            raise InputError(f"output = '{output}': folder '{output.parent}' does not exist; create it first")
        try:
            (self.path / "reports").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"output = '{output}' cannot be written ({error.strerror}); choose another one") from None
        self._remove_leftovers()
        options = json.loads(json.dumps(dataclasses.asdict(protocol)))
        stored = self._read_json(self.path / "protocol.json")
        for name, value in (stored or {}).items():
            if name not in self.FREE and options.get(name) != value:
                raise InputError(
                    f"{name} = {options.get(name)} but '{output}' was begun with {value}; "
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
        stored = _read_npz(self._system(quench))
        return None if stored is None else {**stored, "done": int(stored["done"])}

    def pieces_done(self, quench: int) -> int:
        system = self.load_system(quench)
        return 0 if system is None else system["done"]

    # ---- runs of a configuration --------------------------------------------------------------------------------

    def save_run(self, name: str, run: int, result: dict) -> None:
        path = self._run(name, run)
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_npz(path, result)

    def load_run(self, name: str, run: int) -> dict | None:
        stored = _read_npz(self._run(name, run))
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
        report = self._read_json(self.path / "reports" / f"{name}.json")
        return None if report is None else {**report, "scattering": tuple(report["scattering"])}

    def _system(self, quench: int) -> Path:
        return self.path / f"quench-{quench:04d}.npz"

    def _run(self, name: str, run: int) -> Path:
        return self.path / "runs" / name / f"{run:04d}.npz"

    @staticmethod
    def _read_json(path: Path) -> dict | None:
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError:
            raise InputError(f"'{path}' is damaged; remove it, or the whole folder, to start again") from None

    @staticmethod
    def _write_json(path: Path, value: dict) -> None:
        write_bytes(path, (json.dumps(value, indent=1) + "\n").encode())


def _write_npz(path: Path, arrays: dict) -> None:
    content = io.BytesIO()  # in memory first: a ZipFile on a full disk reports it once more when it is collected
    np.savez(content, **arrays)
    write_bytes(path, content.getbuffer())


def _read_npz(path: Path) -> dict | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        raise InputError(f"'{path}' is damaged; remove it and call simulate again") from None
