"""A disk that is full at any moment: one error, nothing half-written, nothing lost, and the same call goes on later."""

import errno
import io
import resource
import subprocess
import sys

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.cli import main
from tests.helpers.command_line import SMALL, error_line
from tests.helpers.tiny_data import tiny_arrays


class Disk:
    """Counts the writes of HDF5, and fails from one of them on."""

    def __init__(self, monkeypatch):
        self.writes, self.full_at = 0, None
        disk = self

        class FileIO(io.FileIO):
            def write(self, data):
                disk.writes += 1
                if disk.full_at is not None and disk.writes > disk.full_at:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return super().write(data)

        monkeypatch.setattr(io, "FileIO", FileIO)


@pytest.fixture
def inputs(tmp_path):
    (tmp_path / "in").mkdir()
    for seed in range(3):
        np.savez(tmp_path / f"in/c_{seed}.npz", **tiny_arrays(seed, runs=2))
    return str(tmp_path / "in/*.npz")


def contents(path):
    data = bf.Dataset(path)
    return {sample.name: sample.targets.propensity.tolist() for sample in data}


def test_a_conversion_at_every_write_of_hdf5(inputs, tmp_path, monkeypatch, capsys):
    disk = Disk(monkeypatch)
    whole = bf.convert(inputs, tmp_path / "whole.h5")
    total, expected = disk.writes, contents(whole)
    for number in range(0, total, 5):
        path = tmp_path / f"a{number}.h5"
        disk.writes, disk.full_at = 0, number
        error = error_line(["convert", inputs, "-o", str(path), "--quiet"], capsys)
        assert error.endswith("No space left on device")
        assert str(path) in error
        assert [file.name for file in tmp_path.rglob(".*")] == []
        disk.full_at = None
        assert main(["convert", inputs, "-o", str(path), "--quiet"]) == 0
        capsys.readouterr()
        assert contents(path) == expected
        assert not path.with_name(path.name + ".parts").exists()


def test_what_was_stored_stays(inputs, tmp_path, monkeypatch):
    path = bf.convert(inputs, tmp_path / "a.h5")
    before = path.read_bytes()
    np.savez(tmp_path / "more.npz", **tiny_arrays(7, runs=2))
    disk = Disk(monkeypatch)
    disk.full_at = 3
    with pytest.raises(OSError, match="No space left") as error:
        bf.convert(tmp_path / "more.npz", path, append=True)
    assert error.value.errno == errno.ENOSPC
    assert path.read_bytes() == before


def limited(kilobytes, *arguments):
    """The command with a limit on the size of its files."""
    size = kilobytes * 1024
    return subprocess.run(
        [sys.executable, "-m", "botan_fast", *map(str, arguments)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("command", ["convert", "train", "predict"])
def test_a_limit_on_the_size_of_files(command, inputs, tiny_model_file, tmp_path):
    line = {
        "convert": [inputs, "-o", tmp_path / "a.h5", "--quiet"],
        "train": ["--train", inputs, "-o", tmp_path / "out", "--epochs", "1", *SMALL],
        "predict": ["--model", tiny_model_file, "--data", inputs, "-o", tmp_path / "out", "--quiet"],
    }[command]
    done = limited(8, command, *line)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("botan-fast: error: ")
    assert done.stderr.endswith("File too large\n")
    assert [file.name for file in tmp_path.rglob(".*")] == []
