"""What the tests of the command line have in common."""

from botan_fast.cli import main

SMALL = ["--hidden-size", "32", "--num-steps", "2", "--learning-rate", "1e-3", "--quiet"]


def data_arguments(tiny_data):
    return ["--train", str(tiny_data / "train/*.npz"), "--test", str(tiny_data / "test/*.npz")]


def error_line(arguments, capsys):
    """Run a command that is wrong: status 2, nothing on standard output, one line on standard error, returned."""
    assert main([str(argument) for argument in arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert len(lines) == 1, printed.err
    assert lines[0].startswith("botan-fast: error: ")
    return lines[0]
