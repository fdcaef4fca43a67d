"""This machine, and whether a process of it still lives: what tells a worker that was killed from one that is busy.

A process is known by its number and its start: numbers are used again. Two processes see each other's numbers only on
one machine, since one boot, and in one name space of processes (two containers on one host do not): `machine` holds
all three, and where it differs nothing is concluded from a number.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["end_process", "host_name", "is_alive", "machine", "start_of"]

_PROC = Path("/proc")


def host_name() -> str:
    """The name of this machine, for people; names repeat among containers and copies of virtual machines.

    >>> from botan_fast.sweep.alive import host_name
    >>> bool(host_name())
    True
    """
    return socket.gethostname() or "localhost"


@functools.cache
def machine() -> str:
    """What is equal for two processes only when each sees the other by its number: boot, name space, and name.

    Without /proc (macOS) the time of the boot and the name; "" where nothing is known, which equals nothing.

    >>> from botan_fast.sweep.alive import machine
    >>> machine() == machine()
    True
    """
    with contextlib.suppress(OSError):
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        # Copies of a virtual machine that were woken from one image have one boot: the name tells them apart.
        return f"{boot} {os.readlink(_PROC / 'self/ns/pid')} {host_name()}"
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["sysctl", "-n", "kern.boottime"]
        boot = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
        return f"{boot} {host_name()}"
    return ""


def start_of(pid: int) -> str | None:
    """When a process began, in the system's own words; None when there is none of this number, or it has ended.

    A process that has ended and that its parent has not asked about (a zombie) has ended. "" where the system does
    not say when it began.

    >>> import os
    >>> from botan_fast.sweep.alive import start_of
    >>> start_of(os.getpid()) == start_of(os.getpid())
    True
    >>> start_of(2**22 + 1) is None
    True
    """
    if (_PROC / "self/stat").exists():
        with contextlib.suppress(OSError):
            # The name of the program, in parentheses, may hold anything; what follows the last one is fields 3, 4, ...
            fields = (_PROC / f"{pid}/stat").read_bytes().rpartition(b")")[2].split()
            return None if fields[0] in (b"Z", b"X") else fields[19].decode()
        return "" if _exists(pid) else None  # of another user, where /proc hides those
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
        words = subprocess.run(command, capture_output=True, text=True, timeout=10).stdout.split()
        return " ".join(words[1:]) if words and not words[0].startswith("Z") else None
    return "" if _exists(pid) else None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def is_alive(pid: int, start: str) -> bool:
    """Is the process that had this number and this start (`start_of`) still there? When in doubt, yes.

    >>> import os
    >>> from botan_fast.sweep.alive import is_alive, start_of
    >>> is_alive(os.getpid(), start_of(os.getpid())), is_alive(os.getpid(), "another time")
    (True, False)
    """
    now = start_of(pid)
    return now is not None and ("" in (now, start) or now == start)


def end_process(pid: int, start: str, patience: float, stopped: Callable[[], bool] = lambda: False) -> bool:
    """End a process that is not our child, and its group where it leads one; False where it cannot be ended.

    It gets SIGTERM, upon which a run saves itself, and after `patience` seconds SIGKILL. One that is there no more, or
    whose number another process has now, is left alone. False too when `stopped` ends the waiting.
    """
    number, deadline = signal.SIGTERM, time.monotonic() + patience
    while is_alive(pid, start):
        if not start or start_of(pid) != start:
            return False  # it may be another's
        try:
            (os.killpg if os.getpgid(pid) == pid else os.kill)(pid, number)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        while is_alive(pid, start) and time.monotonic() < deadline:
            if stopped():
                return False
            time.sleep(0.02)
        if number == signal.SIGKILL:
            return not is_alive(pid, start)
        number, deadline = signal.SIGKILL, time.monotonic() + 10
    return True
