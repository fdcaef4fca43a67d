"""Inherent structures against LAMMPS: `python -m benchmarks.inherent FILES...`, into benchmarks/results/accuracy.

For each file: the minimum by `inherent_structure` and by LAMMPS (`min_style cg`, needs the extra `md`), whether they
are the same one (energies within 1e-6 per particle), how far they differ, and the seconds of each with one thread and
with two. Then the first file repeated 2 x 2 x 2 and 4 x 4 x 4 times, its particles displaced at random, as far as
forces of 0.1: what is linear in N.
"""

import argparse
import time

import numpy as np
import torch

import botan_fast as bf
from benchmarks import machine
from botan_fast.physics.inherent import FORCE_TOLERANCE
from botan_fast.simulation.lammps import Lammps
from botan_fast.simulation.start import wrap

SAME = 1e-6  # energy per particle
FORCE = 1e-5  # of LAMMPS: the norm of all forces together
NAME = "inherent.json"


def with_lammps(positions: np.ndarray, types: np.ndarray, length: float, threads: int) -> dict:
    inside = wrap(positions, length)
    with Lammps(inside, np.zeros_like(positions), types, length, threads=threads) as lammps:
        begin = time.perf_counter()
        lammps.minimize(FORCE, steps=100_000)
        seconds = time.perf_counter() - begin
        lammps.start_constant_energy()
        moved, energy = lammps.positions - inside, lammps.potential_energy / len(positions)
        return {"seconds": seconds, "energy": energy, "positions": positions + moved, "forces": lammps.forces}


def with_botan_fast(
    positions: np.ndarray, types: np.ndarray, length: float, threads: int, force=FORCE_TOLERANCE
) -> dict:
    torch.set_num_threads(threads)
    begin = time.perf_counter()
    found = bf.inherent_structure(positions, types, length, force_tolerance=force)
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "energy": found.mean_energy, "positions": found.positions, "steps": found.steps}


def compare(sample: bf.Sample, name: str, threads: list[int]) -> dict:
    """One file; the minima of the first number of threads are compared."""
    positions, types, length = sample.positions.numpy(), sample.graph.types.numpy(), float(sample.graph.box[0])
    ours = {n: with_botan_fast(positions, types, length, n) for n in threads}
    theirs = {n: with_lammps(positions, types, length, n) for n in threads}
    one, other = ours[threads[0]], theirs[threads[0]]
    difference = one["positions"] - other["positions"]
    apart = np.linalg.norm(difference - difference.mean(0), axis=1)
    result = {
        "file": name,
        "particles": len(positions),
        "energy_before": float(bf.potential_energy(positions, types, length).mean()),
        "energy": one["energy"],
        "energy_lammps": other["energy"],
        "same_minimum": bool(abs(one["energy"] - other["energy"]) < SAME),
        "largest_distance": float(apart.max()),
        "particles_apart": int((apart > 0.01).sum()),
        "mean_displacement": float(np.linalg.norm(one["positions"] - positions, axis=1).mean()),
        "largest_force_lammps": float(np.abs(other["forces"]).max()),
        "steps": one["steps"],
        "seconds": {str(n): round(each["seconds"], 3) for n, each in ours.items()},
        "seconds_lammps": {str(n): round(each["seconds"], 3) for n, each in theirs.items()},
    }
    minimum = "the same minimum" if result["same_minimum"] else "another minimum"
    print(
        f"{name}: {one['energy']:.7f}, LAMMPS {other['energy']:.7f}, {minimum}, {result['largest_distance']:.2g} apart"
    )
    print(f"  seconds by threads: {result['seconds']}, LAMMPS {result['seconds_lammps']}, {one['steps']} steps")
    return result


def replicas(sample: bf.Sample, times: list[int], threads: list[int]) -> list[dict]:
    """The configuration repeated along every axis: seconds for each size."""
    result = []
    for repeat in times:
        length = float(sample.graph.box[0])
        steps = np.stack(np.meshgrid(*[np.arange(repeat)] * 3, indexing="ij"), -1).reshape(-1, 1, 3) * length
        positions = (sample.positions.numpy() + steps).reshape(-1, 3)
        positions += np.random.default_rng(0).normal(0, 0.02, positions.shape)
        types = np.tile(sample.graph.types.numpy(), repeat**3)
        for number in threads:
            found = with_botan_fast(positions, types, repeat * length, number, force=0.1)
            entry = {"particles": len(positions), "threads": number, "seconds": round(found["seconds"], 3)}
            entry |= {"steps": found["steps"], "energy": found["energy"]}
            entry["microseconds_per_particle_and_step"] = 1e6 * found["seconds"] / len(positions) / found["steps"]
            result.append(entry)
            print(entry)
    return result


def main(argv: list[str] | None = None, folder=machine.RESULTS / "accuracy"):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="FILE", help="configurations of the Kob-Andersen mixture")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeat", type=int, nargs="*", default=[1, 2, 4], help="of the first file, along each axis")
    options = parser.parse_args(argv)
    samples = [bf.load_samples(file)[0] for file in options.files]
    files = [compare(sample, sample.name, options.threads) for sample in samples]
    same = [each for each in files if each["same_minimum"]]
    record = {"format": 1, **machine.describe(max(options.threads)), "files": files}
    record["same_minimum"] = {"files": len(same), "of": len(files)}
    if same:
        record["same_minimum"] |= {
            "largest_energy_difference": max(abs(each["energy"] - each["energy_lammps"]) for each in same),
            "largest_distance": max(each["largest_distance"] for each in same),
        }
    record["sizes"] = replicas(samples[0], options.repeat, options.threads)
    folder.mkdir(parents=True, exist_ok=True)
    machine.write_json(folder / NAME, record)
    print(f"{len(same)} of {len(files)} in the same minimum; wrote {folder / NAME}")
    return folder / NAME


if __name__ == "__main__":
    main()
