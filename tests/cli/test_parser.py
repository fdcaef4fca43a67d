"""Suggestions for options, and messages in the command's own words."""

import argparse

import pytest

from botan_fast.cli.parser import with_options
from tests.helpers.command_line import error_line


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("--lr", "--learning-rate"),
        ("-lr", "--learning-rate"),
        ("--learn", "--learning-rate"),
        ("--learning_rate", "--learning-rate"),
        ("--rate", "--learning-rate"),
        ("--hidden", "--hidden-size"),
        ("--epoch", "--epochs"),
        ("--Epochs", "--epochs"),
        ("--batch", "--batch-size"),
        ("--layers", "--num-steps"),
        ("--gpu", "--device"),
        ("--outdir", "--output"),
        ("--sede", "--seed"),
    ],
)
def test_the_option_that_was_meant(given, meant, capsys):
    error = error_line(["train", "--train", "a.npz", "-o", "run", given, "1"], capsys)
    assert f"unknown option {given}; did you mean {meant}?" in error


def test_an_option_that_resembles_none(capsys):
    error = error_line(["train", "--train", "a.npz", "-o", "run", "--xyzzy"], capsys)
    assert "unknown option --xyzzy (see" in error


def test_negative_numbers_and_files_are_no_options(capsys):
    assert "--density = -1.0" in error_line(["convert", "a.npz", "-oa.h5", "--density", "-1"], capsys)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("learning_rate = 0.0: give", "--learning-rate = 0.0: give"),
        (
            "p = 0.5 trains edges; use p=1 or decoders='separate'",
            "--p = 0.5 trains edges; use --p 1 or --decoders separate",
        ),
        ("a/output = 3", "a/output = 3"),
        ("'p = 3'", "'p = 3'"),
        ("continue it with resume=True (--resume)", "continue it with resume=True (--resume)"),
        ("file: box[0] = 3.0 is smaller than 2 * cutoff", "file: box[0] = 3.0 is smaller than 2 * cutoff"),
        ("leave hidden_size out", "leave --hidden-size out"),
        ("other_hidden_size", "other_hidden_size"),
        ("the file holds no box; give box= or density=", "the file holds no box; give --box or --density"),
        ("device = 'mps'; use device='cpu'", "--device = 'mps'; use --device cpu"),
    ],
)
def test_messages_name_options(message, shown):
    names = ("learning_rate", "p", "decoders", "output", "resume", "cutoff", "box", "hidden_size", "density", "device")
    assert with_options(message, argparse.Namespace(**dict.fromkeys(names))) == shown
