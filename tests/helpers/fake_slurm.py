"""A SLURM of one machine: sbatch, srun, scontrol and scancel as programs, and a scheduler that a test turns by hand.

sbatch keeps a script; `FakeSlurm.start` runs those whose dependencies have ended, each job of an array as a process
with the variables that SLURM would give it; scontrol requeue makes `start` run a job again, with the same number.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

PROGRAMS = ("sbatch", "srun", "scontrol", "scancel")


class FakeSlurm:
    """The programs in a folder for the PATH, and what was submitted.

    refuse   sbatch says this and fails
    """

    def __init__(self, folder: Path) -> None:
        self.state = folder
        self.programs = folder / "bin"
        self.programs.mkdir(parents=True)
        for name in PROGRAMS:
            program = self.programs / name
            words = [sys.executable, __file__, name, str(folder)]
            program.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
            program.chmod(0o755)
        self.processes: dict[str, subprocess.Popen] = {}
        self.runs: list[str] = []  # the numbers of jobs in the order in which they were started

    def refuse(self, words: str) -> None:
        (self.state / "refuse").write_text(words)

    @property
    def scripts(self) -> dict[str, str]:
        """What was submitted, by the number of the job."""
        found = sorted(self.state.glob("*.sh"), key=lambda path: int(path.stem))
        return {path.stem: path.read_text() for path in found}

    def options(self, number: str) -> dict[str, str]:
        """The lines #SBATCH of a script."""
        return options_of(self.scripts[number])

    def start(self) -> list[str]:
        """Start what may begin now and has not, or is to begin again. Returns the numbers, 123_0 in an array."""
        started = []
        for number in self.scripts:
            options = self.options(number)
            after = options.get("dependency", "").split(":")[1:]
            if any(not self.over(job) for other in after for job in self.jobs(other)):
                continue
            for job in self.jobs(number):
                again = self.state / f"{job}.requeue"
                if job not in self.processes or (again.exists() and self.processes[job].poll() is not None):
                    again.unlink(missing_ok=True)
                    self.processes[job] = self._run(number, job, options)
                    self.runs.append(job)
                    started.append(job)
        return started

    def jobs(self, number: str) -> list[str]:
        array = re.match(r"0-(\d+)", self.options(number).get("array", ""))
        return [f"{number}_{k}" for k in range(int(array[1]) + 1)] if array else [number]

    def over(self, job: str) -> bool:
        """Has a job ended for good?"""
        process = self.processes.get(job)
        return process is not None and process.poll() is not None and not (self.state / f"{job}.requeue").exists()

    def finish(self, limit: float = 60.0) -> None:
        """Until everything that was submitted has ended."""
        while self.start() or any(process.poll() is None for process in self.processes.values()):
            for process in self.processes.values():
                process.wait(limit)

    def signal(self, job: str, number: int) -> None:
        """To the program that srun has started, as with the cgroups of SLURM."""
        os.kill(int((self.state / f"{job}.pid").read_text()), number)

    def kill(self) -> None:
        """End all that still runs."""
        for process in self.processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _run(self, number: str, job: str, options: dict[str, str]) -> subprocess.Popen:
        variables = {**os.environ, "SLURM_JOB_ID": number, "SLURM_NTASKS": "1", "SLURM_PROCID": "0"}
        for name in ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
            variables.pop(name, None)
        if "array" in options:
            variables |= {"SLURM_ARRAY_JOB_ID": number, "SLURM_ARRAY_TASK_ID": job.partition("_")[2]}
        log = open(self.state / f"{job}.log", "ab")  # noqa: SIM115 (the job's)
        return subprocess.Popen(
            ["bash", str(self.state / f"{number}.sh")],
            env=variables,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )


def options_of(script: str) -> dict[str, str]:
    """The options in the lines #SBATCH of a script."""
    found = re.findall(r"^#SBATCH --([\w-]+)(?:[= ](.*))?$", script, flags=re.MULTILINE)
    return {name: shlex.split(value)[0] if value else "" for name, value in found}


def main(program: str, state: Path, words: list[str]) -> int:
    """One of the programs."""
    if program == "sbatch":
        if (state / "refuse").exists():
            print((state / "refuse").read_text(), file=sys.stderr)
            return 1
        number = 101 + len(list(state.glob("1*.sh")))
        if "--wrap" in words:
            lines = [f"#SBATCH {word}" for word in words[: words.index("--wrap")] if word != "--parsable"]
            text = "\n".join(["#!/bin/sh", *lines, words[words.index("--wrap") + 1]])
        else:
            text = Path(words[-1]).read_text()
        (state / f"{number}.sh").write_text(text)
        print(number if "--parsable" in words else f"Submitted batch job {number}")
    elif program == "scontrol":
        assert words[0] == "requeue", words
        (state / f"{words[1]}.requeue").touch()
    elif program == "srun":
        files = {}
        while words and words[0].startswith("--"):
            option = words.pop(0)
            if option in ("--output", "--error"):
                files[option] = words.pop(0)
        job = os.environ["SLURM_JOB_ID"]
        if "SLURM_ARRAY_TASK_ID" in os.environ:
            job = f"{job}_{os.environ['SLURM_ARRAY_TASK_ID']}"
        for option, number in (("--output", 1), ("--error", 2)):
            if option in files:
                name = files[option].replace("%A_%a", job).replace("%j", job).replace("%t", "0")
                os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666), number)
        (state / f"{job}.pid").write_text(str(os.getpid()))
        os.execvp(words[0], words)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
