"""botan-fast predict: where it writes, and that it refuses before it writes."""

import pytest

from botan_fast.cli import main
from tests.helpers.command_line import error_line
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
