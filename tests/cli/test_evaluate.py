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
    assert max(map(len, lines)) <= 80


def test_data_without_runs_say_why_there_is_no_ceiling(tiny_data, tiny_model_file, tmp_path, capsys):
    data = tmp_path / "test.h5"
    bf.convert(str(tiny_data / "test/*.npz"), data, density=1.2)
    assert main(["evaluate", "--model", str(tiny_model_file), "--data", str(data), "--quiet"]) == 0
    assert "no ceiling: the data hold targets and not the runs behind them" in capsys.readouterr().out


def test_one_configuration_has_no_interval_and_says_so(tiny_data, tiny_model_file, capsys):
    command = ["evaluate", "--model", str(tiny_model_file), "--data", str(tiny_data / "test/conf_20.npz"), "--quiet"]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "1 configuration" in lines
    assert "no intervals: they are over configurations, and need two of them" in lines
    assert not any("[" in line for line in lines)


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


def test_seeds_at_several_temperatures_have_a_line_for_each(tiny_data, tmp_path, capsys):
    """Median, best and worst against temperature, as the figures of the paper show them."""
    data, files = tmp_path / "test.h5", [str(tmp_path / f"{seed}.safetensors") for seed in range(3)]
    for temperature in (0.44, 0.5):
        bf.convert(str(tiny_data / "test/*.npz"), data, density=1.2, temperature=temperature, time=13.0, append=True)
    for file in files:
        bf.save_model(bf.BOTAN(**TINY), file)
    command = ["evaluate", "--model", *files, "--data", str(data), "--quiet", "--seeds", "--temperature", "0.44", "0.5"]
    assert main([*command, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines if not line.endswith(".safetensors")) <= 80
    start = next(k for k, line in enumerate(lines) if line.split() == ["temperature", "time", *TWICE])
    for line, row in zip(lines[start + 1 :], scores["conditions"], strict=False):
        expected = [row["range"][name][key] for name in ("node_pearson", "edge_pearson") for key in TWICE[:3]]
        assert line.split() == [f"{row['temperature']:g}", "13", *(f"{value:.5f}" for value in expected)]
    assert len(scores["conditions"]) == 2


TWICE = ["median", "best", "worst"] * 2


def test_a_model_of_many_times_fits_the_screen(tiny_data, tmp_path, capsys):
    """Its transfer matrix goes on below where the columns would not fit."""
    data, file = tmp_path / "test.h5", tmp_path / "a.safetensors"
    times = [0.13, 1.3, 13.0, 130.0, 1300.0, 13000.0]
    for time in times:
        bf.convert(str(tiny_data / "test/*.npz"), data, density=1.2, temperature=0.44, time=time, append=True)
    bf.save_model(bf.train(data, time=times, epochs=1, progress=False, **TINY).model, file)
    command = ["evaluate", "--model", str(file), "--data", str(data), "--quiet"]
    assert main([*command, "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert main(command) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    shown = text.split("node Pearson of each output with the data of each line\n")[1].splitlines()[: 2 * 7]
    blocks = [[line.split()[2:] for line in shown[k : k + 7]] for k in (0, 7)]
    assert blocks[0][0] + blocks[1][0] == [f"t={time:g}" for time in times]
    for k, row in enumerate(scores["conditions"], start=1):
        assert blocks[0][k] + blocks[1][k] == [f"{value:.5f}" for value in row["node_transfer"]]
