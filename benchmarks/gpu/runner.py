"""What a benchmark on a GPU is, and the loop that runs them all and survives those that fail."""

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.gpu.machine import Machine, NotRun
from botan_fast.bench.floor import edge_steps, gpu_floor


@dataclass
class Prepared:
    """run() is timed after check() has found it correct.

    num_bytes and flops are what it cannot do without; precision names the ceiling of its products; edges are those that
    pass through all 7 steps of a network; facts go into the result as they are. measure() takes the place of the timer
    where one call is not what is timed, and gives "median_us" and what else there is.
    """

    run: Callable
    check: Callable
    num_bytes: float = 0
    flops: float = 0
    precision: str | None = None
    repeats: int = 50
    peak: bool = False
    kernels: bool = False
    edges: int = 0
    measure: Callable[[], dict] | None = None
    facts: dict = field(default_factory=dict)


Benchmarks = dict[str, Callable[[Machine], Prepared]]


def run_one(machine: Machine, make: Callable, ceilings: dict[str, float] | None) -> dict:
    before = machine.allocated()
    prepared = make(machine)
    prepared.run()
    prepared.check()
    result = {**prepared.facts, "precision": prepared.precision}
    if prepared.peak:
        result["peak_bytes"] = machine.peak_bytes(prepared.run, before)
    result |= prepared.measure() if prepared.measure else machine.measure(prepared.run, prepared.repeats)
    if prepared.edges:
        result["edge_steps_per_second"] = 1e6 * edge_steps(prepared.edges) / result["median_us"]
    if prepared.num_bytes:
        result |= {"bytes": prepared.num_bytes, "flops": prepared.flops}
        result["gigabytes_per_second"] = prepared.num_bytes / result["median_us"] / 1e3
        if ceilings:
            result["floor_us"] = 1e6 * gpu_floor(ceilings, prepared.num_bytes, prepared.flops, prepared.precision)
            result["fraction_of_floor"] = result["floor_us"] / result["median_us"]
    if prepared.kernels:
        try:
            result["kernels"] = machine.kernels(prepared.run)
        except Exception as error:  # the times stay
            traceback.print_exc(file=sys.stderr)
            result["error"] = f"profiler: {type(error).__name__}: {error}"
    return result


def run_all(machine: Machine, benchmarks: Benchmarks, ceilings: dict | None, save: Callable, out=None) -> list[dict]:
    """One result for each; one that raises has "error", one without room "not_run". save(results) after each."""
    results = []
    for name, make in benchmarks.items():
        try:
            result = {"name": name, **run_one(machine, make, ceilings)}
        except NotRun as reason:
            result = {"name": name, "not_run": str(reason)}
        except Exception as error:  # whatever it is, the others go on
            traceback.print_exc(file=sys.stderr)
            result = {"name": name, "error": f"{type(error).__name__}: {error}"}
        results.append(result)
        print(line_of(result), file=out or sys.stdout, flush=True)
        machine.release()
        save(results)
    return results


def line_of(result: dict) -> str:
    """One line of the printed list."""
    name = f"{result['name']:44}"
    for reason in ("error", "not_run"):
        if reason in result:
            return f"{name}{reason.replace('_', ' ').upper()}: {result[reason].splitlines()[0][:120]}"
    text = f"{name}{result['median_us']:12.1f} us"
    text += f"{result['gigabytes_per_second']:9.0f} GB/s" if "gigabytes_per_second" in result else " " * 14
    if "edge_steps_per_second" in result:
        text += f"{result['edge_steps_per_second'] / 1e9:8.3f} G edge-steps/s"
    text += f"{result['fraction_of_floor']:7.0%} of the floor" if "fraction_of_floor" in result else ""
    text += f"{result['peak_bytes'] / 1e9:9.3f} GB" if result.get("peak_bytes") else ""
    text += f"  N = {result['nodes']:,}" if result.get("sized") else ""
    text += f"  {result['kernel_share']:.1%} of it in kernels" if "kernel_share" in result else ""
    return text + ("  (the profiler saw no kernel)" if result.get("kernels") == [] else "")
