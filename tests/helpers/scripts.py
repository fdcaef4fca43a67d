"""Shell scripts of the documents, which begin with #!: they run with programs of a cluster that are made up.

What a script calls botan-fast with is written down. Afterwards trainings are run, the others are looked at as far as
their options go.
"""

import itertools
import os
import subprocess
import tempfile
from pathlib import Path

from tests.helpers.fake_slurm import FakeSlurm

# In place of what is not on this machine; "record" makes a line of what it was called with.
PROGRAMS = {
    "botan-fast": 'printf "%s\\037" "$@" >> "$COMMANDS"; echo >> "$COMMANDS"',
    "torchrun": 'while [ "$1" != -m ]; do shift; done; shift 2; exec botan-fast "$@"',
    "nvidia-cuda-mps-control": '[ "$1" = -d ] || read -r word && [ -d "$CUDA_MPS_PIPE_DIRECTORY" ]',
    "ssh": 'shift; exec bash -c "$*"',
    "module": "true",
    "parallel": """
command=()
while [ "$1" != ::: ]; do
  case "$1" in
    --sshlogin | --workdir | --jobs) shift ;;
    *) command+=("$1") ;;
  esac
  shift
done
shift
for word in "$@"; do "${command[@]//\\{\\}/$word}"; done""",
}
# As a scheduler gives them to a job.
VARIABLES = {
    "SLURM_JOB_ID": "17",
    "SLURM_CPUS_PER_TASK": "4",
    "SLURM_ARRAY_JOB_ID": "17",
    "SLURM_ARRAY_TASK_ID": "1",
    "SLURM_ARRAY_TASK_COUNT": "8",
    "USER": "somebody",
}


def fake_slurm() -> FakeSlurm:
    """A SLURM of its own, in this folder."""
    return FakeSlurm(Path(tempfile.mkdtemp(dir=Path.cwd(), prefix="cluster")))


def run_script(text: str) -> list[list[str]]:
    """Run a script in this folder; the arguments of each botan-fast in it, and in what it submits.

    Its processes in the background are waited for.
    """
    folder = Path.cwd()
    slurm = fake_slurm()
    for name, body in PROGRAMS.items():
        program = slurm.programs / name
        program.write_text(f"#!/bin/bash\n{body}\n")
        program.chmod(0o755)
    commands = slurm.state / "commands"
    commands.touch()
    variables = {"PATH": f"{slurm.programs}:{os.environ['PATH']}", "COMMANDS": str(commands)}
    environment = os.environ | VARIABLES | variables | {"PBS_O_WORKDIR": str(folder)}
    (slurm.state / "0.sh").write_text(text)
    for number in itertools.count():  # the script, then those that it has submitted
        script = slurm.state / (f"{100 + number}.sh" if number else "0.sh")
        if not script.exists():
            break
        _run(script, environment)
    lines = commands.read_text().splitlines()
    assert lines, f"no botan-fast in\n{text}"
    return [line.split("\037")[:-1] for line in lines]


def _run(script: Path, environment: dict[str, str]) -> None:
    ends, end = os.pipe()  # read to its end when the last process that has inherited it is gone
    with open(ends, "rb") as file:
        try:
            done = subprocess.run(
                ["bash", "-eu", "-o", "pipefail", script],
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=60,
                pass_fds=[end],
                check=False,
            )
        finally:
            os.close(end)
        assert (done.returncode, done.stderr) == (0, ""), f"{script.read_text()}\n{done.stderr}"
        file.read()
