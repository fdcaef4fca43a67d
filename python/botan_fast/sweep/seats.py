"""The cores and GPUs of this machine, divided among the workers of a pool."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError

__all__ = ["Seat", "cores", "gpus", "seats"]


@dataclass(frozen=True)
class Seat:
    """What one worker of a pool has for itself.

    cores    numbers of the cores that it and its tasks may use; () where the system does not bind processes
    threads  of each task: one for each core, counting the two halves of a core once
    gpu      of CUDA_VISIBLE_DEVICES; None without --device cuda
    """

    cores: tuple[int, ...]
    threads: int
    gpu: str | None = None


def cores() -> list[tuple[int, int]]:
    """The cores that this process may use: (place of the physical core, number), neighbours beside each other.

    Two numbers of one place are two halves of a core. Empty where the system does not tell (macOS).
    """
    if not hasattr(os, "sched_getaffinity"):
        return []
    found = []
    for number in os.sched_getaffinity(0):
        topology = Path(f"/sys/devices/system/cpu/cpu{number}/topology")
        place = (0, number)
        with contextlib.suppress(OSError, ValueError):
            package, core = ((topology / name).read_text() for name in ("physical_package_id", "core_id"))
            place = (int(package), int(core))
        found.append((*place, number))
    found.sort()
    places = {place: k for k, place in enumerate(dict.fromkeys(item[:2] for item in found))}
    return [(places[item[:2]], item[2]) for item in found]


def gpus(environment: Mapping[str, str] = os.environ) -> list[str]:
    """The GPUs of this process, as CUDA_VISIBLE_DEVICES names them; without torch, which would take seconds.

    >>> from botan_fast.sweep.seats import gpus
    >>> gpus({"CUDA_VISIBLE_DEVICES": "2,3"})
    ['2', '3']
    """
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() and name.strip() != "-1"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True, timeout=60).stdout
        return [str(k) for k, line in enumerate(line for line in listed.splitlines() if line.startswith("GPU "))]
    return []


def seats(
    workers: int,
    device: str | None = None,
    threads: int | None = None,
    of: list[tuple[int, int]] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> list[Seat]:
    """A seat for each worker: the cores evenly, one thread each where there are fewer cores than workers; GPUs in turn.

    `of` are the cores to divide, by default those of this process. InputError with device = "cuda" without a GPU.

    >>> from botan_fast.sweep.seats import seats
    >>> [(seat.cores, seat.threads) for seat in seats(2, of=[(0, 0), (0, 4), (1, 1), (2, 2)])]
    [((0, 4), 1), ((1, 2), 2)]
    """
    names: list[str] = []
    if device is not None and device.split(":")[0] == "cuda":
        names = gpus(environment)
        if device != "cuda":
            raise InputError(f"device = '{device}': write cuda, and choose GPUs by CUDA_VISIBLE_DEVICES")
        if not names:
            raise InputError("device = 'cuda': nvidia-smi -L names no GPU here; use device='cpu'")
    there = cores() if of is None else of
    result = []
    for k in range(workers):
        mine = there[k * len(there) // workers : (k + 1) * len(there) // workers]
        if there and not mine:
            mine = [there[k * len(there) // workers]]
        number = len({place for place, _ in mine}) or max(1, (os.cpu_count() or 1) // workers)
        gpu = names[k % len(names)] if names else None
        result.append(Seat(tuple(core for _, core in mine), threads or number, gpu))
    return result
