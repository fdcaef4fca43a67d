"""The groups of a data set file as they are written: its root, a configuration, a configuration of another file."""

import json

import h5py
import numpy as np

from .record import Record
from .schema import FORMAT, UNITS, VERSION, known_number, read_text, write_array, write_species, write_text

__all__ = ["copy_record", "write_record", "write_root"]


def write_root(file: h5py.File, cutoff: float, *history: dict) -> None:
    write_text(file, "format", FORMAT)
    file.attrs["format_version"] = np.int64(VERSION)
    file.attrs["cutoff"] = np.float64(cutoff)
    write_text(file, "units", UNITS)
    write_text(file, "provenance", json.dumps({"history": list(history)}))


def write_record(group: h5py.Group, record: Record, arrays: dict, order: int) -> None:
    write_text(group, "name", record.name)
    write_text(group, "source", record.source)
    write_species(group, record.species)
    group.attrs["order"] = np.int64(order)
    group.attrs["temperature"] = np.float64(np.nan if record.temperature is None else record.temperature)
    if record.energy is not None:
        group.attrs["energy"] = np.float64(record.energy)
    group.attrs["box"] = arrays["box"]
    group.attrs["time"] = np.array([np.nan if t.time is None else t.time for t in record.times], np.float64)
    group.attrs["num_runs"] = np.array([t.num_runs for t in record.times], np.int64)
    write_array(group, "positions", arrays["positions"])
    write_array(group, "types", arrays["types"], compress=True)
    write_array(group, "pairs", arrays["pairs"], compress=True)
    times = group.create_group("times")
    for number, targets in enumerate(arrays["targets"]):
        one = times.create_group(f"{number:03d}")
        for name, array in targets.items():
            write_array(one, name, array)


def copy_record(source: h5py.Group, groups: h5py.Group, name: str) -> None:
    """Copy a configuration, or add its times to one that is there. Chunks are copied as they are."""
    if name not in groups:
        source.file.copy(source, groups, name)
        return
    target = groups[name]
    there = {known_number(time) for time in target.attrs["time"]}
    count = len(target.attrs["time"])
    chosen = [k for k, time in enumerate(source.attrs["time"]) if known_number(time) not in there]
    for k in chosen:
        source.file.copy(source[f"times/{k:03d}"], target["times"], f"{count:03d}")
        count += 1
    if "energy" in source.attrs and "energy" not in target.attrs:
        target.attrs["energy"] = source.attrs["energy"]
    for attribute in ("time", "num_runs"):
        joined = np.concatenate([target.attrs[attribute], source.attrs[attribute][chosen]])
        del target.attrs[attribute]
        target.attrs[attribute] = joined
    sources = "\n".join(filter(None, (read_text("", group, "source") for group in (target, source))))
    del target.attrs["source"]
    write_text(target, "source", sources)
