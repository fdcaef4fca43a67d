"""tau_alpha of a simulation by the paper's definition: `python -m benchmarks.relaxation FILE.h5`.

Reads the trajectories that `botan-fast simulate -o FILE.h5 --keep-trajectories` left in FILE.h5.work and writes
benchmarks/results/relaxation/<device>-<date>.json: F_s(k, t) of the A particles of each configuration at k = 2 pi and
7.25, where its mean falls to 1/e, and the fit in two steps with b_s = 2 and with b_s free. Standard errors are by the
jackknife over configurations, and over quenches where each gave several, which are not independent.

    botan-fast simulate -o ka.h5 --temperature 0.64 --configurations 20 --times $(geometric times) --keep-trajectories
    python -m benchmarks.relaxation ka.h5
"""

import argparse
import json
import math
from pathlib import Path

import numpy as np

import botan_fast as bf
from benchmarks import machine
from botan_fast.data.schema import finished_parts
from botan_fast.errors import BotanFastError, InputError
from botan_fast.paper import TAU_ALPHA

WAVE_NUMBERS = {"2 pi": 2 * math.pi, "7.25": 7.25}


def configurations(path: Path):
    """(temperature, name, positions, types) of each configuration in the data set, or in the parts of one that is
    being made."""
    for file in [path] if path.exists() else finished_parts(path):
        with bf.Dataset(file) as dataset:
            seen = set()
            for index, group in enumerate(dataset.groups):
                if group not in seen:
                    seen.add(group)
                    arrays = dataset.arrays(index)
                    temperature = dataset.temperature_time_pairs()[index][0]
                    yield temperature, dataset.names[index], arrays["positions"], arrays["types"]


def scattering(folder: Path, name: str, positions: np.ndarray, types: np.ndarray) -> dict[str, np.ndarray]:
    """F_s(k, t) of one configuration, the mean over its runs, for each k."""
    files = sorted((folder / "runs" / name).glob("[0-9]*.npz"))
    if not files:
        raise InputError(f"{folder / 'runs' / name} holds no run; simulate with --keep-trajectories")
    sums = dict.fromkeys(WAVE_NUMBERS, 0.0)
    for file in files:
        with np.load(file, allow_pickle=False) as run:
            moved = run["positions"]
        for label, k in WAVE_NUMBERS.items():
            sums[label] = sums[label] + bf.self_intermediate_scattering(positions, moved, k, types=types)
    return {label: total / len(files) for label, total in sums.items()}


def jackknife(function, values: np.ndarray) -> float | None:
    """Standard error of a function of the mean of values (M, T); None where it cannot be had."""
    if len(values) < 2:
        return None
    each = [function(np.delete(values, k, axis=0).mean(0)) for k in range(len(values))]
    return None if None in each else math.sqrt((len(each) - 1) * float(np.var(each)))


def by_quench(names: list[str], values: np.ndarray) -> np.ndarray:
    """Means over the configurations of each quench: names are T0.64-QUENCH-STATE."""
    quenches = [name.rpartition("-")[0] for name in names]
    return np.array([values[[q == one for q in quenches]].mean(0) for one in dict.fromkeys(quenches)])


def fit(times: np.ndarray, names: list[str], values: np.ndarray, short_exponent: float | None) -> dict:
    """The fit in two steps, or why there is none."""
    several = values if len(values) > 1 else values[0]
    quenches = by_quench(names, values)
    try:
        found = bf.relaxation_time(times, several, method="two-step", short_exponent=short_exponent)
        result = {"short_exponent_is": "free" if short_exponent is None else "fixed", **vars(found)}
        if 1 < len(quenches) < len(values):
            coarse = bf.relaxation_time(times, quenches, method="two-step", short_exponent=short_exponent)
            result |= {"uncertainty_by_quenches": coarse.uncertainty, "quenches": len(quenches)}
        return result
    except BotanFastError as error:
        return {"short_exponent": short_exponent, "refused": str(error)}


def measure(path: Path) -> list[dict]:
    """One entry for each temperature."""
    found: dict[float, tuple[list[str], list[dict[str, np.ndarray]]]] = {}
    for temperature, name, positions, types in configurations(path):
        folder = path.with_name(path.name + ".work") / f"T{temperature:g}"
        names, curves = found.setdefault(temperature, ([], []))
        names.append(name)
        curves.append(scattering(folder, name, positions, types))
    if not found:
        raise InputError(f"{path} holds no configuration; give the data set of botan-fast simulate")
    result = []
    for temperature, (names, curves) in found.items():
        protocol = path.with_name(path.name + ".work") / f"T{temperature:g}" / "protocol.json"
        options = json.loads(protocol.read_text())
        times = np.array(options["times"])
        entry = {"temperature": temperature, "paper_tau_alpha": TAU_ALPHA.get(temperature), "protocol": options}
        entry |= {"configurations": names, "wave_numbers": {}}
        for label, k in WAVE_NUMBERS.items():
            values = np.array([curve[label] for curve in curves])

            def falls(mean):
                try:
                    return bf.relaxation_time(times, mean)  # noqa: B023 (called within this pass of the loop)
                except InputError:
                    return None

            entry["wave_numbers"][label] = {
                "k": k,
                "falls_to_1_over_e": falls(values.mean(0)),
                "falls_to_1_over_e_error": jackknife(falls, values),
                "fits": [fit(times, names, values, short_exponent) for short_exponent in (2.0, None)],
                "mean": values.mean(0).round(6).tolist(),
                "scattering": values.round(6).tolist(),
            }
        result.append(entry)
    return result


def main(argv: list[str] | None = None, folder: Path = machine.RESULTS / "relaxation") -> Path:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, metavar="FILE.h5", help="data set of botan-fast simulate")
    temperatures = measure(parser.parse_args(argv).file)
    for entry in temperatures:
        print(f"T = {entry['temperature']:g}, {len(entry['configurations'])} configurations")
        for label, one in entry["wave_numbers"].items():
            for each in one["fits"]:
                if "refused" in each:
                    print(f"  k = {label}: {each['refused']}")
                else:
                    kind = f"b_s = {each['short_exponent']:.3g} {each['short_exponent_is']}"
                    print(f"  k = {label}: tau_alpha = {each['tau_alpha']:.4g} +- {each['uncertainty']:.2g}, {kind}")
            print(f"  k = {label}: 1/e at {one['falls_to_1_over_e']}")
    return machine.write_record(folder, temperatures=temperatures)


if __name__ == "__main__":
    main()
