"""Options that several commands share: one description, one reading of the value."""

import argparse
import shlex
from dataclasses import replace

import pytest
import torch

from botan_fast.cli.arguments import add_options, in_order
from botan_fast.cli.options import data_options, data_options_text, set_threads
from botan_fast.data.options import READING, TIME
from botan_fast.errors import InputError


def test_values():
    parser = argparse.ArgumentParser()
    add_options(parser, READING)
    nothing = {"box": None, "density": None, "temperature": None, "time": None, "species": None}
    assert data_options(parser.parse_args([])) == nothing
    assert data_options(parser.parse_args(["--box", "5"])) == nothing | {"box": 5.0}
    words = "--box 5 6 7 --density 1.1 --temperature 0.44 --time 1 2 --species Si Ge"
    given = data_options(parser.parse_args(shlex.split(words)))
    numbers = {"box": [5.0, 6.0, 7.0], "density": 1.1, "temperature": [0.44], "time": [1.0, 2.0]}
    assert given == numbers | {"species": ["Si", "Ge"]}


def test_the_next_command_gets_them():
    parser = argparse.ArgumentParser()
    add_options(parser, READING)
    words = "--box 5 6 7 --time 1.3 2 --species Si Ge"
    text = " --box 5.0 6.0 7.0 --time 1.3 2.0 --species 'Si' 'Ge'"
    assert data_options_text(parser.parse_args(shlex.split(words))) == text
    cell = argparse.Namespace(**vars(parser.parse_args([])) | {"box": [[5.0, 0.0], [1.0, 5.0]]})  # of a file
    assert data_options_text(cell) == ""


def test_what_differs_replaces_the_description():
    parser = argparse.ArgumentParser()
    add_options(parser, [replace(TIME, help="another text")])
    assert "another text" in parser.format_help()
    assert parser.parse_args(["--time", "1"]).time == [1.0]


def test_natural_order():
    assert in_order(["c_10.npz", "c_2.npz"]) == ["c_2.npz", "c_10.npz"]


def test_threads():
    before = torch.get_num_threads()
    try:
        set_threads(before + 1)
        set_threads(None)
        assert torch.get_num_threads() == before + 1
        with pytest.raises(InputError, match=r"--threads = 0; give a whole number of at least 1"):
            set_threads(0)
    finally:
        torch.set_num_threads(before)
