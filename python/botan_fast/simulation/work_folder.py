"""What a simulation keeps on the disk to continue after a kill: checkpoints, finished runs, reports."""

import contextlib
import dataclasses
import json
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import atomic_write, is_file, printable
from .protocol import Protocol

__all__ = ["WorkFolder"]


class WorkFolder:
    """The folder OUTPUT.work/TEMPERATURE of a simulation::

        protocol.json           all options: a call with others is refused
        quench-0003.npz         positions, velocities, types of quench 3 after `done` of its thermostat runs
        runs/NAME/0007.npz      run 7 of a configuration that is not finished yet
        reports/NAME.json       what the physics checks measured

    Every file appears complete or not at all.
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
        options = json.loads(json.dumps(dataclasses.asdict(protocol)))
        stored = self._read_json(self.path / "protocol.json")
        for name, value in (stored or {}).items():
            if name not in self.FREE and options.get(name) != value:
                raise InputError(
                    f"{printable(name, 40)} = {options.get(name)} but '{output}' was begun with {printable(value)}; "
                    "use that one, or another output"
                )
        self.particles, self.times = protocol.num_particles, len(protocol.times or ())
        self._write_json(self.path / "protocol.json", options)

    # ---- checkpoints of the thermostat --------------------------------------------------------------------------

    def save_system(self, quench: int, system: dict) -> None:
        with atomic_write(self._system(quench)) as temporary:
            np.savez(temporary, **system)

    def load_system(self, quench: int) -> dict | None:
        path, cell = self._system(quench), (self.particles, 3)
        stored = _read_npz(path, {"positions": cell, "velocities": cell, "types": cell[:1], "done": ()})
        if stored is None:
            return None
        if stored["types"].dtype.kind not in "iu" or stored["done"].dtype.kind not in "iu" or stored["done"] < 0:
            raise _damaged(path)
        return {**stored, "done": int(stored["done"])}

    def pieces_done(self, quench: int) -> int:
        system = self.load_system(quench)
        return 0 if system is None else system["done"]

    # ---- runs of a configuration --------------------------------------------------------------------------------

    def save_run(self, name: str, run: int, result: dict) -> None:
        path = self._run(name, run)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            np.savez(temporary, **result)

    def load_run(self, name: str, run: int) -> dict | None:
        shapes = {"positions": (self.times, self.particles, 3), "drift": (), "temperature": ()}
        stored = _read_npz(self._run(name, run), shapes)
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
        scattering = report.get("scattering")
        numbers = [report.get("energy_drift"), report.get("temperature")]
        numbers += scattering if isinstance(scattering, list) and len(scattering) == self.times else [None]
        if report.get("name") != name or not all(type(value) in (int, float) for value in numbers):
            raise _damaged(path)
        return {**report, "scattering": tuple(scattering or ())}

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
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(value, indent=1) + "\n")


def _damaged(path: Path) -> InputError:
    return InputError(f"'{path}' is damaged; remove it and call simulate again")


def _read_npz(path: Path, shapes: dict[str, tuple[int, ...]]) -> dict | None:
    """The arrays of a file that this class wrote, finite numbers of these shapes at least; None where it is missing."""
    is_file(path)  # refuses a pipe, which would be waited for
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name]) for name in file.files}  # what is no array comes as bytes
    except FileNotFoundError:
        return None
    # Damage shows in zipfile, zlib, tokenize and NumPy, by any of Python's exceptions.
    except Exception:
        raise _damaged(path) from None
    found = {name: array.shape for name, array in arrays.items() if name in shapes}
    if found != shapes or not all(a.dtype.kind in "fiu" and np.isfinite(a).all() for a in arrays.values()):
        raise _damaged(path)
    return arrays
