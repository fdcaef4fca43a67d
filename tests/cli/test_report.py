"""botan-fast report: the command, its file, and its messages."""

import pytest

import botan_fast as bf
from botan_fast.cli import main
from tests.helpers.command_line import error_line
from tests.helpers.pages import read_page
from tests.helpers.runs import FAST


@pytest.fixture(scope="module")
def run_folder(tiny_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "one"
    bf.train(str(tiny_data / "train/*.npz"), epochs=1, output=folder, **FAST)
    return folder


def test_the_page_names_the_command_that_makes_it(run_folder, tiny_data, tmp_path, capsys):
    output = tmp_path / "page.html"
    data = [str(path) for path in sorted((tiny_data / "test").glob("*.npz"))]
    words = ["report", str(run_folder), "--data", *data, "--density", "1.2", "-o", str(output)]
    assert main([*words, "--quiet"]) == 0
    assert capsys.readouterr().out == f"report: {output} ({output.stat().st_size / 1e6:.1f} MB)\n"
    page = read_page(output)
    assert f"botan-fast report {run_folder} --data {' '.join(data)} --density 1.2 -o {output}" in page.text
    assert "Means over 2 configurations" in page.text


def test_a_mistake_is_one_line(run_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "--output = 'missing/a.html': folder 'missing' does not exist" in error_line(
        ["report", str(run_folder), "-o", "missing/a.html"], capsys
    )
    (tmp_path / "notes.html").write_text("mine")
    line = error_line(["report", str(run_folder), "-o", "notes.html"], capsys)
    assert "no report of botan_fast; name another file, or overwrite it with force=True (--force)" in line
    assert "'runs/none' does not exist" in error_line(["report", "runs/none"], capsys)
    (tmp_path / "network").mkdir()
    line = error_line(["report", tmp_path / "netwerk"], capsys)
    assert f"did you mean {tmp_path / 'network'}?" in line
