"""A run of two epochs in a folder with a hostile name, and the report about it."""

import pytest

import botan_fast as bf
from botan_fast.report.write import write_report
from tests.helpers.runs import FAST

HOSTILE = "<script>alert('x')</script>&amp;\"quoted\""  # what a stranger may call a folder; "/" ends a name
NAME = HOSTILE.replace("/", "")


@pytest.fixture(scope="session")
def run_folder(tiny_data, tmp_path_factory):
    """A run by files, whose run.toml names its test data."""
    folder = tmp_path_factory.mktemp("runs") / NAME
    bf.train(str(tiny_data / "train/*.npz"), str(tiny_data / "test/*.npz"), epochs=2, output=folder, **FAST)
    return folder


@pytest.fixture(scope="session")
def report_file(run_folder, tmp_path_factory):
    return write_report(run_folder, tmp_path_factory.mktemp("pages") / "report.html")
