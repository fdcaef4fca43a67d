"""A run that nothing interrupted, for the others to be compared with."""

import pytest

from tests.helpers.runs import run


@pytest.fixture(scope="session")
def uninterrupted(tiny_data, tmp_path_factory):
    return run(tiny_data, epochs=6, output=tmp_path_factory.mktemp("runs") / "uninterrupted")
