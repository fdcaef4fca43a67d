"""What a simulation keeps on the disk: damage anywhere is one error that names the file."""

import json
import zipfile

import numpy as np
import pytest

from botan_fast.errors import BotanFastError, InputError
from botan_fast.simulation.protocol import Protocol
from botan_fast.simulation.result import ConfigurationCheck
from botan_fast.simulation.work_folder import WorkFolder
from tests.fuzz.files import make
from tests.helpers.simulations import TINY

NAME = "T0.64-0000-00"


@pytest.fixture
def folder(tmp_path):
    """A work folder with one file of each kind."""
    protocol = Protocol(**{key: value for key, value in TINY.items() if key != "progress"}).checked()
    work, number, rng = WorkFolder(tmp_path / "ka.h5", protocol), protocol.num_particles, np.random.default_rng(0)
    positions = rng.random((number, 3)) * protocol.length
    work.save_system(0, {"positions": positions, "velocities": positions, "types": np.arange(number) % 2, "done": 1})
    work.save_run(NAME, 0, {"positions": rng.random((2, number, 3)), "drift": 1e-4, "temperature": 0.64})
    work.save_report(vars(ConfigurationCheck(NAME, 1e-4, 0.64, (0.9, 0.5), (0.8, 0.4), -7.0)))
    return work


def read(work):
    system, run, report = work.load_system(0), work.load_run(NAME, 0), work.load_report(NAME)
    ConfigurationCheck(**report)
    return system, run, report


def test_what_was_kept_comes_back(folder):
    system, run, report = read(folder)
    assert (system["done"], run["drift"], report["peak_scattering"]) == (1, 1e-4, (0.8, 0.4))
    assert folder.load_system(1) is folder.load_run(NAME, 1) is folder.load_report("T0.64-0001-00") is None


def test_changed_bytes(folder):
    """Every change is refused in one line, or changes numbers that any file could hold."""
    rng, refused = np.random.default_rng(1), []
    for file in sorted(file for file in folder.path.rglob("*") if file.is_file()):
        data = file.read_bytes()
        for _ in range(150):
            broken = bytearray(data)
            for place in rng.integers(0, len(data) if rng.random() < 0.5 else min(len(data), 200), rng.integers(1, 4)):
                broken[place] = rng.integers(256)
            file.write_bytes(broken[: rng.integers(len(data))] if rng.random() < 0.2 else broken)
            try:
                read(folder)
                WorkFolder(folder.path.parent.with_suffix(""), folder.protocol)
            except BotanFastError as error:
                refused.append(str(error))
            finally:
                file.write_bytes(data)
    assert len(refused) > 300
    assert all("\n" not in message for message in refused)
    read(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"positions": np.zeros((3, 3))}, {"positions": np.full((160, 3), np.nan)},
        {"positions": np.full((160, 3), -1.0)},
        {"positions": np.full((160, 3), 99.0)}, {"types": np.full(160, 2)}, {"types": np.zeros(160)}, {"done": 0},
        {"done": 10**6}, {"done": 0.5}, {"velocities": np.full((160, 3), np.inf)}, {"positions": np.zeros(10**7)},
        {"done": None}, {"done": "x"},
    ],
)  # fmt: skip
def test_wrong_arrays(folder, change):
    system = {**folder.load_system(0), **change}
    np.savez(folder._system(0), **{key: value for key, value in system.items() if value is not None})
    with pytest.raises(InputError, match=r"quench-0000\.npz' is damaged; remove it"):
        folder.load_system(0)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "3", "null", '"x"', "{}", "[" * 100_000, '{"name": "other"}', "NaN",
        json.dumps({"name": NAME, "energy_drift": 0.1, "temperature": "x", "scattering": [0.9, 0.5]}),
        json.dumps({"name": NAME, "energy_drift": 0.1, "temperature": 0.6, "scattering": [0.9]}),
        json.dumps({"name": NAME, "energy_drift": 0.1, "temperature": 0.6, "scattering": [0.9, None]}),
        json.dumps({"name": NAME, "energy_drift": 0.1, "temperature": 0.6, "scattering": [0.9, 0.5], "more": 1}),
        json.dumps({"name": NAME, "energy_drift": 0.1, "temperature": 0.6, "scattering": [0.9, 0.5], "energy": [1]}),
    ],
)  # fmt: skip
def test_wrong_reports(folder, text):
    (folder.path / "reports" / f"{NAME}.json").write_text(text)
    with pytest.raises(InputError, match=r"T0\.64-0000-00\.json' is damaged; remove it"):
        folder.load_report(NAME)


def test_a_number_beyond_floats_and_a_member_that_is_no_array(tmp_path):
    report = make("simulate report", tmp_path)
    text = report.path.read_text()
    report.path.write_text(text.replace("0.64", "1" + "0" * 400))
    with pytest.raises(InputError, match="is damaged"):
        report.read()
    report.path.write_text(text)
    (tmp_path / "another").mkdir()
    system = make("simulate system", tmp_path / "another")
    with zipfile.ZipFile(system.path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["types.npy"] = b"no array" + members["types.npy"][8:]
    with zipfile.ZipFile(system.path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(InputError, match="is damaged"):
        system.read()
