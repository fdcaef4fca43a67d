"""botan-fast evaluate: the scores in a file."""

import json

from botan_fast.cli import main
from tests.helpers.command_line import error_line


def test_the_file_holds_what_is_printed(tiny_data, tiny_model_file, tmp_path, capsys):
    file = tmp_path / "scores.json"
    command = ["evaluate", "--model", str(tiny_model_file), "--data", str(tiny_data / "test/*.npz"), "--quiet"]
    assert main([*command, "--json"]) == 0
    printed = capsys.readouterr().out
    assert main([*command, "-o", str(file)]) == 0
    assert "node Pearson" in capsys.readouterr().out
    assert json.loads(file.read_text()) == json.loads(printed)
    assert not list(tmp_path.glob(".*"))


def test_a_file_is_not_overwritten_unasked(tiny_data, tiny_model_file, tmp_path, capsys):
    file = tmp_path / "scores.json"
    file.write_text("mine")
    command = ["evaluate", "--model", tiny_model_file, "--data", tiny_data / "test/*.npz", "--quiet", "-o"]
    assert f"--output = '{file}' exists; name another file, or overwrite it with --force" in error_line(
        [*command, file], capsys
    )
    assert file.read_text() == "mine"
    assert "'missing' does not exist; create it first" in error_line([*command, "missing/a.json"], capsys)
    assert "is not the name of a file" in error_line([*command, tmp_path], capsys)
    assert main([str(word) for word in [*command, file, "--force"]]) == 0
    assert json.loads(file.read_text())["num_configurations"] == 2
