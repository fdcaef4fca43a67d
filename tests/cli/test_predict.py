"""botan-fast predict: where it writes, and that it refuses before it writes."""

import numpy as np
import pytest

from botan_fast.cli import main
from botan_fast.formats import read_trajectory
from tests.helpers.command_line import error_line
from tests.helpers.format_files import frames_of, lammps_text, simulation, xyz_text
from tests.helpers.tiny_data import write_tiny


@pytest.mark.parametrize("name", ["out.npz", "out.xyz", "out.extxyz"])
def test_predict_into_one_file(tiny_data, tiny_model_file, tmp_path, name, capsys):
    arguments = ["predict", "--model", str(tiny_model_file), "--data", str(tiny_data / "test/conf_20.npz"), "--quiet"]
    output = tmp_path / name
    assert main([*arguments, "-o", str(output)]) == 0
    first = output.read_bytes()
    output.write_bytes(b"mine")
    assert main([*arguments, "-o", str(output)]) == 2
    assert "exists; choose another OUT, or overwrite with --force" in capsys.readouterr().err
    assert output.read_bytes() == b"mine"
    assert main([*arguments, "-o", str(output), "--force"]) == 0
    if name != "out.npz":  # a zip archive has dates
        assert output.read_bytes() == first


def test_numbers_in_names_stay_in_those_of_the_results(tiny_model_file, tmp_path):
    s = simulation()
    for number, (_, positions) in enumerate(frames_of(s)):
        (tmp_path / f"dump.{10**number}").write_text(lammps_text(s, [(0.0, s.wrapped(positions)[0])], "x y z"))
    data = [str(tmp_path / f"dump.{10**number}") for number in range(3)]
    arguments = ["predict", "--model", str(tiny_model_file), "--quiet", "--data", *data]
    assert main([*arguments, "-o", str(tmp_path / "out")]) == 0
    names = {f"dump.{number}.{ending}" for number in (1, 10, 100) for ending in ("npz", "xyz")}
    assert {file.name for file in (tmp_path / "out").iterdir()} == names


def test_predict_refuses_before_it_overwrites(tiny_data, tiny_model_file, tmp_path, capsys):
    arguments = ["predict", "--model", tiny_model_file, "--quiet", "--data", tiny_data / "test/*.npz", "-o"]
    (tmp_path / "file").write_text("mine")
    assert "is a file; name a folder" in error_line([*arguments, tmp_path / "file"], capsys)
    assert "is one file, for 2 configurations; name a folder" in error_line([*arguments, tmp_path / "out.xyz"], capsys)
    assert not (tmp_path / "out.xyz").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "conf_21.xyz").write_text("mine")
    assert "conf_21.xyz' exists" in error_line([*arguments, tmp_path / "out"], capsys)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["conf_21.xyz"]
    write_tiny(tmp_path / "conf_20.npz", seed=0)
    twice = [*arguments[:-2], tiny_data / "test/conf_20.npz", tmp_path / "conf_20.npz", "-o", tmp_path / "both"]
    assert "two configurations are named conf_20" in error_line(twice, capsys)


def test_all_frames(tiny_model_file, tmp_path, capsys):
    """One trajectory for OVITO and an npz for each frame; nothing is overwritten unasked."""
    s = simulation(number=80)
    for name in ("a.xyz", "b.xyz"):
        (tmp_path / name).write_text(xyz_text(s, frames_of(s)))
    out = tmp_path / "out"
    arguments = ["predict", "--model", tiny_model_file, "--quiet", "--frames", "all", "--data", tmp_path / "a.xyz"]
    both = [str(a) for a in [*arguments, tmp_path / "b.xyz", "-o", out]]
    assert main(both) == 0
    assert capsys.readouterr().out == f"wrote {out}/a.xyz and 9 more files\n"
    names = sorted(path.name for path in out.iterdir())
    assert names == sorted(f"{n}{end}" for n in "ab" for end in [".xyz", *(f"_frame{k:05d}.npz" for k in range(4))])
    trajectory = read_trajectory(out / "a.xyz")
    assert [trajectory.frame(k).time for k in range(4)] == [0.0, 0.5, 4.0, 30.0]
    with np.load(out / "a_frame00002.npz") as file:
        assert (int(file["frame"]), float(file["time"])) == (2, 4.0)
        assert file["propensity"].shape == (80,)
    assert "a.xyz' exists" in error_line(both, capsys)
    assert main([*both, "--force"]) == 0
    (out / "a.xyz").unlink()
    capsys.readouterr()
    assert "a_frame00000.npz' exists" in error_line([*arguments, "-o", out], capsys)
    assert main([str(a) for a in [*arguments, "-o", tmp_path / "one.xyz"]]) == 0
    assert read_trajectory(tmp_path / "one.xyz").count == 4
    capsys.readouterr()
    assert "is one npz, which holds one frame" in error_line([*arguments, "-o", tmp_path / "one.npz"], capsys)
    assert "leave --temperature and --time out" in error_line([*arguments, "-o", out, "--time", "4"], capsys)
    assert "frames = 'some'" in error_line([*arguments, "-o", out, "--frames", "some"], capsys)
    assert "for 2 configurations" in error_line([*arguments, tmp_path / "b.xyz", "-o", tmp_path / "two.xyz"], capsys)


def test_temporary_files_of_a_kill_go(tiny_data, tiny_model_file, tmp_path):
    left = tmp_path / "out/.conf_1.0123456789ab.tmp.npz"
    other = tmp_path / "out/.conf_2.0123456789ab.tmp.npz"
    left.parent.mkdir()
    for file in (left, other):
        file.write_bytes(b"half")
    data = str(tiny_data / "train/conf_1.npz")
    line = ["predict", "--model", str(tiny_model_file), "--data", data, "-o", str(tmp_path / "out"), "--quiet"]
    assert main(line) == 0
    assert not left.exists()
    assert other.exists()  # of a file that is not written here


def test_an_output_without_a_name(tiny_data, tiny_model_file, capsys):
    line = ["predict", "--model", tiny_model_file, "--data", tiny_data / "train/conf_1.npz", "-o", ""]
    assert "OUT = '' is empty" in error_line(line, capsys)
