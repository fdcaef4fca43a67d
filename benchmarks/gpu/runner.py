"""What a benchmark on a GPU is, and the loop that runs them all and survives those that fail."""

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.gpu.machine import Machine, NotRun


@dataclass
class Prepared:
    """run() is timed after check() has found it correct.

    num_bytes and flops are what it cannot do without; precision names the ceiling of its products; facts go into
    the result as they are.
    """

    run: Callable
    check: Callable
    num_bytes: float = 0
    flops: float = 0
    precision: str | None = None
    repeats: int = 50
    peak: bool = False
    kernels: bool = False
    facts: dict = field(default_factory=dict)


Benchmarks = dict[str, Callable[[Machine], Prepared]]


def floor_us(ceilings: dict[str, float], num_bytes: float, flops: float, precision: str | None) -> float:
    """max(bytes / bandwidth, operations / rate) in microseconds, over the ceilings of the run.

    fp32 may be done by float32 units or by three tf32 products, so the faster of the two is its ceiling.
    """
    rates = {"fp32": max(ceilings["float32"], ceilings["tf32"] / 3), "tf32": ceilings["tf32"], "bf16": ceilings["bf16"]}
    return 1e6 * max(num_bytes / ceilings["copy"], flops / rates[precision or "fp32"])


def run_one(machine: Machine, make: Callable, ceilings: dict[str, float] | None) -> dict:
    before = machine.allocated()
    prepared = make(machine)
    prepared.run()
    prepared.check()
    result = {**prepared.facts, "precision": prepared.precision}
    if prepared.peak:
        result["peak_bytes"] = machine.peak_bytes(prepared.run, before)
    result |= machine.measure(prepared.run, prepared.repeats)
    if prepared.num_bytes:
        result |= {"bytes": prepared.num_bytes, "flops": prepared.flops}
        result["gigabytes_per_second"] = prepared.num_bytes / result["median_us"] / 1e3
        if ceilings:
            result["floor_us"] = floor_us(ceilings, prepared.num_bytes, prepared.flops, prepared.precision)
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
    text += f"{result['fraction_of_floor']:7.0%} of the floor" if "fraction_of_floor" in result else ""
    text += f"{result['peak_bytes'] / 1e9:9.3f} GB" if result.get("peak_bytes") else ""
    return text + ("  (the profiler saw no kernel)" if result.get("kernels") == [] else "")
