"""Everything that needs a GPU, in the order that pays: build, tests, benchmarks, compute-sanitizer. No network needed.

    python -m benchmarks.gpu.check [--stage NAME[,NAME]] [--wheel FILE] [--output FILE]
                                   [--select REGEX] [--within SECONDS]

Each stage is a process with a time limit below eight minutes, and what it has found until then is kept: numbers in FILE
(benchmarks/results/gpu/<device>-<date>.json), what it printed in FILE's name with the stage and .log. A later call with
the same FILE adds to it. What fails is named at the end, does not stop the rest, and makes the exit status 1.
"""

import argparse
import datetime
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from benchmarks.gpu import commands
from benchmarks.gpu.record import add_stage, read_record
from benchmarks.gpu.stages import run_limited, test_results

# Seconds that each stage may take, in order.
LIMITS = {
    "build": 270,
    "tests": 300,
    "bench": 120,
    "networks": 300,
    "training": 180,
    "several": 270,
    "operations": 150,
    "memcheck": 240,
    "initcheck": 60,
    "racecheck": 90,
}
WHEEL_LIMIT = 60  # of "build" where it only installs a wheel
GROUPS = {
    "benchmarks": ("bench", "networks", "training", "several", "operations"),
    "sanitizer": tuple(commands.SANITIZED),
}
ASK = (
    "import torch\n"
    "if torch.cuda.is_available():\n"
    "    print(torch.cuda.get_device_name(), *torch.cuda.get_device_capability(), sep='|')"
)
INSTALLED = "import botan_fast; print(botan_fast.build_info()['cuda_architectures'])"


def ask(code: str) -> str | None:
    """What a Python program prints; None where it fails. In a process of its own, which leaves nothing on the GPU."""
    done = subprocess.run([sys.executable, "-c", code], cwd=commands.ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def stages_of(text: str, wheel: bool) -> list[str]:
    """The stages that are named, in their order; a wheel is installed first whatever is named."""
    wanted = set()
    for name in text.split(","):
        if name not in LIMITS and name not in GROUPS:
            raise ValueError(f"--stage {name}: choose of {', '.join([*LIMITS, *GROUPS])}")
        wanted |= set(GROUPS.get(name, (name,)))
    return [name for name in LIMITS if name in wanted or (wheel and name == "build")]


def command_of(stage: str, capability: tuple[int, int], options, output: Path) -> list[str] | None:
    """What a stage calls; None where this machine has not got it."""
    makers: dict[str, Callable[[], list[str] | None]] = {
        "build": lambda: commands.build(capability, options.wheel),
        "tests": commands.tests,
        "bench": lambda: commands.bench(output.with_name(f"{output.stem}-bench.json")),
    }
    if stage in commands.SANITIZED:
        return commands.sanitizer(stage)
    return makers[stage]() if stage in makers else commands.measure(stage, output, options.select)


def limit_of(stage: str, wheel: bool) -> int:
    """Seconds that a stage may take."""
    return WHEEL_LIMIT if wheel and stage == "build" else LIMITS[stage]


def run_stage(stage: str, command: list[str] | None, limit: float, output: Path) -> bool:
    """Whether the stage passed; how it ended goes into the record and onto the screen."""
    if command is None:
        print(f"== {stage}: NOT RUN, compute-sanitizer is not installed", flush=True)
        add_stage(output, stage, {"ended": "not run", "reason": "compute-sanitizer is not installed"})
        return True
    print(f"== {stage}, at most {limit:.0f} s: {' '.join(command)}", flush=True)
    log = output.with_name(f"{output.stem}-{stage}.log")
    environment = commands.SANITIZER_ENVIRONMENT if stage in commands.SANITIZED else None
    ended = run_limited(command, limit, log, environment)
    facts = {"ended": ended.word, "status": ended.status, "seconds": round(ended.seconds, 1), "limit": round(limit)}
    if stage == "tests" or stage in commands.SANITIZED:
        facts |= test_results(log.read_text())
    add_stage(output, stage, facts)
    print(f"== {stage}: {ended.word} after {ended.seconds:.0f} s", flush=True)
    return ended.word == "passed"


def table(output: Path) -> str:
    """The stages of the record as text."""
    lines = [f"{'stage':12}{'seconds':>9}{'limit':>7}  ended"]
    stages = read_record(output).get("stages", {})
    for name in (name for name in LIMITS if name in stages):
        facts = stages[name]
        counted = f", {facts['passed']} tests passed, {len(facts['failed'])} failed" if "passed" in facts else ""
        counted += f", in {facts['running']}" if facts.get("running") else ""
        seconds, limit = facts.get("seconds", "-"), facts.get("limit", "-")
        lines.append(f"{name:12}{seconds:>9}{limit:>7}  {facts['ended']}{counted}")
    return "\n".join(lines)


def default_output(device: str) -> Path:
    words = "-".join("".join(c if c.isalnum() else " " for c in device.lower()).split())
    return commands.ROOT / "benchmarks" / "results" / "gpu" / f"{words}-{datetime.date.today().isoformat()}.json"


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stage", default=",".join(LIMITS), metavar="NAME", help=", ".join([*LIMITS, *GROUPS]))
    parser.add_argument("--wheel", type=Path, help="install this instead of building")
    parser.add_argument("--select", default="", metavar="REGEX", help="benchmarks whose name contains it")
    parser.add_argument("--within", type=float, default=float("inf"), metavar="SECONDS", help="end by then")
    parser.add_argument("--output", type=Path, help="the result file, which is added to")
    return parser


@contextmanager
def ended_by_signals():
    """Requests to end become exceptions, so that the stage that runs is ended, too."""

    def leave(number: int, frame) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_stages(stages: list[str], capability: tuple[int, int], options, output: Path) -> list[str]:
    """Those that did not pass; after a build that fails with nothing installed, the others too."""
    start, failed = monotonic(), []
    for number, stage in enumerate(stages):
        left = options.within - (monotonic() - start)
        if left <= 0:
            print(f"== {stage}: NOT RUN, the time is over", flush=True)
            add_stage(output, stage, {"ended": "not run", "reason": "the time was over"})
            failed.append(stage)
            continue
        command = command_of(stage, capability, options, output)
        if not run_stage(stage, command, min(limit_of(stage, options.wheel is not None), left), output):
            failed.append(stage)
        if stage == "build" and failed:
            installed = ask(INSTALLED)
            if installed is None:
                print("nothing is installed that could be tested", file=sys.stderr)
                return stages[number:]
            print(f"going on with the installed package ({installed or 'without CUDA kernels'})", flush=True)
    return failed


def main(arguments=None) -> int:
    options = parser().parse_args(arguments)
    try:
        stages = stages_of(options.stage, options.wheel is not None)
    except ValueError as error:
        parser().error(str(error))
    if options.wheel is not None and not options.wheel.is_file():
        parser().error(f"--wheel {options.wheel}: there is no such file")
    answer = ask(ASK)
    if not answer:
        print("torch sees no GPU" if answer == "" else "torch cannot be imported", file=sys.stderr)
        return 1
    device, major, minor = answer.split("|")
    output = (options.output or default_output(device)).resolve()
    print(f"{device}, compute capability {major}.{minor}; results go to {output}", flush=True)
    with ended_by_signals():
        failed = run_stages(stages, (int(major), int(minor)), options, output)
    print(table(output))
    print("failed: " + ", ".join(failed) if failed else "nothing failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
