"""Every example in a docstring runs, and every public name has one."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import botan_fast as bf

MODULES = sorted(
    info.name for info in pkgutil.walk_packages(bf.__path__, "botan_fast.") if not info.name.endswith("._core")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert result.failed == 0


@pytest.mark.parametrize("name", [n for n in bf.__all__ if n != "__version__"])
def test_public_names_have_an_example(name):
    documentation = inspect.getdoc(getattr(bf, name))
    assert documentation
    assert ">>>" in documentation, f"{name} has no example"


def test_public_names_are_listed():
    assert set(bf.__all__) <= set(dir(bf))
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        bf.trian  # noqa: B018
