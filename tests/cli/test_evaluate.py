"""botan-fast evaluate: the scores in a file."""

import json

import botan_fast as bf
from botan_fast.cli import main
from botan_fast.evaluation.rows import scores_csv
from tests.helpers.command_line import error_line
from tests.helpers.tiny_data import TINY


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


def test_a_csv_holds_the_table(tiny_data, tiny_model_file, tmp_path, capsys):
    file = tmp_path / "scores.csv"
    command = ["evaluate", "--model", str(tiny_model_file), "--data", str(tiny_data / "test/*.npz"), "--quiet"]
    assert main([*command, "--windows", "0", "1", "2", "--json", "-o", str(file)]) == 0
    assert file.read_text() == scores_csv(json.loads(capsys.readouterr().out))
    assert len(file.read_text().splitlines()) == 1 + 2 + 9


def test_the_table_has_a_line_for_each_group(tiny_data, tiny_model_file, capsys):
    command = ["evaluate", "--model", str(tiny_model_file), "--data", str(tiny_data / "train/*.npz"), "--quiet"]
    assert main([*command, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    for label, found in (("node A", scores["species"]["A"]), ("edge A-B r<1.35", scores["pairs"]["A-B"])):
        [line] = [line for line in lines if line.startswith(label)]
        low, high = found["interval"]["pearson"]
        words = line.replace("[", "").replace("]", "").replace(",", "").split()
        numbers = [float(word) for word in words[len(label.split()) :]]
        expected = [found["pearson"], low, high, found["ceiling"], found["spearman"], found["slope"], found["loss"]]
        for shown, number in zip(numbers, expected, strict=True):
            assert abs(shown - number) <= 1e-4 * max(1, abs(number))
    assert "ceiling: the Pearson of a perfect model with targets of 6 runs" in lines
    assert any(line.startswith("chi_4 (type A): actual ") for line in lines)
    assert max(map(len, lines)) <= 100


def test_data_without_runs_say_why_there_is_no_ceiling(tiny_data, tiny_model_file, tmp_path, capsys):
    data = tmp_path / "test.h5"
    bf.convert(str(tiny_data / "test/*.npz"), data, density=1.2)
    assert main(["evaluate", "--model", str(tiny_model_file), "--data", str(data), "--quiet"]) == 0
    assert "no ceiling: the data hold targets and not the runs behind them" in capsys.readouterr().out


def test_seeds_are_scored_alone(tiny_data, tmp_path, capsys):
    files = [str(tmp_path / f"{seed}.safetensors") for seed in range(3)]
    for file in files:
        bf.save_model(bf.BOTAN(**TINY), file)
    command = ["evaluate", "--model", *files, "--data", str(tiny_data / "test/*.npz"), "--quiet", "--seeds"]
    assert main([*command, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert [one["model"] for one in scores["seeds"]] == files
    assert main(command) == 0
    text = capsys.readouterr().out
    found = scores["range"]["node_pearson"]
    assert f"node pearson {found['median']:.5f} {found['best']:.5f} {found['worst']:.5f}" in " ".join(text.split())
    assert "3 seeds; above are medians" in text
    assert "give one of them" in error_line([*command, "--rotations", "2"], capsys)
