"""After SIGUSR1 in a batch job of SLURM (`#SBATCH --signal=USR1@120`): the job goes back into the queue.

By then the command has saved. The job script runs again from its beginning when the job has time again, and its command
goes on where it was. Whether a job may be requeued at all is SLURM's to say: `scontrol requeue` is asked, and what it
refuses stands in the command's last line.
"""

from __future__ import annotations

import argparse
import os
import signal
from types import ModuleType

from .. import interruption
from ..files import printable

__all__ = ["job_name", "requeue"]

_PATIENCE = 60.0  # seconds for scontrol, of the 120 or so that are left


def job_name() -> str | None:
    """The job of SLURM that this process can put back into the queue, as scontrol names it; None without one.

    One process of a job does it, see `interruption.in_a_job`.

    >>> import os
    >>> from unittest import mock
    >>> from botan_fast.cli.requeue import job_name
    >>> job = {"SLURM_JOB_ID": "17", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "4", "SLURM_PROCID": "0"}
    >>> with mock.patch.dict(os.environ, job):
    ...     print(job_name())
    12_4
    """
    if not interruption.in_a_job():
        return None
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ["SLURM_JOB_ID"]


def requeue(command: ModuleType, arguments: argparse.Namespace) -> tuple[bool, str]:
    """Put the job back, if SIGUSR1 has ended a command that goes on when it is given again.

    Such a command has `interrupted`, and where it has --resume it was given that. Returns whether the job is in the
    queue again, and what is to be said.
    """
    job = job_name()
    if job is None or interruption.status() != 128 + signal.SIGUSR1 or not hasattr(command, "interrupted"):
        return False, ""
    if not getattr(arguments, "resume", True):
        return False, f"; job {job} is not requeued, as its command has no --resume"
    reason = _ask(job)
    if reason is None:
        return True, f"; job {job} is requeued"
    return False, f"; job {job} could not be requeued ({reason})"


def _ask(job: str) -> str | None:
    """None where scontrol has done it, else why not."""
    import shutil
    import subprocess

    program = shutil.which("scontrol")
    if program is None:
        return "there is no scontrol in PATH"
    try:
        done = subprocess.run(
            [program, "requeue", job],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
        )
    except subprocess.TimeoutExpired:
        return f"scontrol did not answer within {_PATIENCE:.0f} s"
    except OSError as error:
        return f"scontrol: {error.strerror or error}"
    if done.returncode == 0:
        return None
    said = " ".join((done.stderr or done.stdout).split())
    return printable(said) or f"scontrol ended with status {done.returncode}"
