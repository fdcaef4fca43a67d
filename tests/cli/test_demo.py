"""botan-fast demo: the command, its files, and its defaults."""

import argparse
import inspect

import pytest

import botan_fast as bf
from botan_fast.cli import main
from botan_fast.cli.demo import EPOCHS, TIME, add_arguments, demo, demo_data


def test_demo(tmp_path, capsys):
    output = tmp_path / "demo"
    assert main(["demo", "--epochs", "1", "--time", "4", "-o", str(output)]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith("botan-fast demo: Kob-Andersen mixture at T = 0.64, learning S_i and E_ij at t = 4\n")
    lines = printed.out.splitlines()
    assert lines[0].split() == ["held-out", "configurations", "linear", "network"]
    assert lines[3] == f"model: {output}/run   predictions: {output}/predictions   figure: {output}/propensity.png"
    assert lines[4] == f"report: {output}/report.html (open it in a browser)"
    _, held_out = bf.Dataset(demo_data()).select(time=4).train_test_split(test=0.2, seed=0)
    after = bf.evaluate(bf.load_model(output / "run"), held_out)
    for line, name in zip(lines[1:3], ("node_pearson", "edge_pearson"), strict=True):
        assert line.endswith(f"{after[name]:10.3f}")
    assert (output / "propensity.png").stat().st_size > 1000
    page = (output / "report.html").read_text()
    assert f"<b>{after['node_pearson']:.3f}</b>".replace("-", "−") in page
    assert "botan-fast demo --time 4 --epochs 1" in page
    assert len(list((output / "predictions").glob("*.npz"))) == len(held_out)


def test_defaults_are_those_of_the_function():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    arguments, parameters = parser.parse_args([]), inspect.signature(demo).parameters
    assert (arguments.time, arguments.epochs) == (TIME, EPOCHS)
    for name in ("output", "time", "epochs"):
        assert getattr(arguments, name) == parameters[name].default


def test_mistakes(tmp_path):
    with pytest.raises(bf.BotanFastError, match=r"time = 7 is not in the data, which hold times 0\.13, 4, 16\.5"):
        demo(tmp_path / "demo", time=7)
    (tmp_path / "file").touch()
    with pytest.raises(bf.BotanFastError, match="is a file; name a folder"):
        demo(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
