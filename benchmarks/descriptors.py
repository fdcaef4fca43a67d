"""What descriptors cost: `python -m benchmarks.descriptors [--particles 4096,32768] [--threads 1,2] [--rounds 5]`.

Writes benchmarks/results/accuracy/descriptors.json: for each number of particles, set of descriptors and number of
threads the median time in seconds, the time of the processor (all threads together, which tells more on a machine that
is not quiet), and the columns; from 10^5 particles on one round of three sets with the most threads. The input is the
synthetic liquid of the suite at density 1.2.
"""

import argparse
import statistics
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import torch

import botan_fast as bf
from benchmarks import machine
from botan_fast.bench.machine import cores
from botan_fast.bench.synthetic import dense_liquid
from botan_fast.physics.kob_andersen import DENSITY

NONE = {"averages": 0, "smear_lengths": ()}
SETS = {
    "radial": {"groups": ["radial"], **NONE},
    "bond_order": {"groups": ["bond_order"], **NONE},
    "radial, bond_order": {"groups": ["radial", "bond_order"], **NONE},
    "radial, bond_order, averaged once": {"groups": ["radial", "bond_order"], "averages": 1, "smear_lengths": ()},
    "bond_order of 16 shells": {
        "groups": ["bond_order"],
        "bond_shells": [(1 + k / 10, 0.1) for k in range(16)],
        **NONE,
    },
    "energy, smeared": {"groups": ["energy"], "geometry": "thermal", "averages": 0},
    "defaults": {"geometry": "thermal"},
}


LARGE = 10**5  # from here on one round, the most threads, and these sets
LARGE_SETS = ("radial, bond_order", "radial, bond_order, averaged once", "energy, smeared")


def measure(number: int, threads: list[int], rounds: int) -> list[dict]:
    """One entry for each set and number of threads; the rounds of all alternate."""
    liquid = dense_liquid(number, num_runs=1)
    box, rng = (number / DENSITY) ** (1 / 3), np.random.default_rng(0)
    positions, types = liquid["initial_positions"], liquid["types"]
    inherent, energy = positions + 0.05 * rng.standard_normal(positions.shape), rng.standard_normal(number)
    entries = {}
    sets = SETS if number < LARGE else {name: SETS[name] for name in LARGE_SETS}
    threads = threads if number < LARGE else threads[-1:]
    before = torch.get_num_threads()
    for turn in range(rounds + 1):  # the first one warms up
        for name, options in sets.items():
            settings = bf.DescriptorSettings(**options)
            for count in threads:
                torch.set_num_threads(count)
                wall, cpu = perf_counter(), process_time()
                _, names = bf.descriptors(positions, types, box, inherent=inherent, energy=energy, settings=settings)
                wall, cpu = perf_counter() - wall, process_time() - cpu
                entry = {"particles": number, "set": name, "columns": len(names), "threads": count}
                times = entries.setdefault((name, count), {**entry, "seconds": [], "processor_seconds": []})
                if turn or rounds == 0:
                    times["seconds"].append(wall)
                    times["processor_seconds"].append(cpu)
    torch.set_num_threads(before)
    for entry in entries.values():
        for key in ("seconds", "processor_seconds"):
            entry[key] = float(f"{statistics.median(entry[key]):.4g}")
        print(
            f"{entry['particles']:8d}  {entry['set']:34s} {entry['columns']:4d} columns, {entry['threads']} threads: "
            f"{entry['seconds'] * 1e3:9.1f} ms, processor {entry['processor_seconds'] * 1e3:9.1f} ms",
            flush=True,
        )
    return list(entries.values())


def main(argv: list[str] | None = None, path: Path = machine.RESULTS / "accuracy" / "descriptors.json") -> Path:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--particles", default="4096,32768,262144", help="numbers of particles (default: %(default)s)")
    parser.add_argument("--threads", default=",".join(map(str, sorted({1, cores()}))), help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="after one to warm up")
    options = parser.parse_args(argv)
    threads = [int(count) for count in options.threads.split(",")]
    timings = []
    for number in (int(text) for text in options.particles.split(",")):
        timings += measure(number, threads, options.rounds if number < LARGE else 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    machine.write_json(path, {"format": 1, **machine.describe(), "rounds": options.rounds, "timings": timings})
    print(f"wrote {path}")
    return path


if __name__ == "__main__":
    main()
