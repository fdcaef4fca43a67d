"""Type hints of the public names: type checkers see the names that Python loads on first use, and all are annotated."""

import ast
import inspect
from pathlib import Path

import pytest

import botan_fast as bf

NAMES = [name for name in bf.__all__ if name != "__version__"]


def names_for_type_checkers() -> dict[str, str | None]:
    """Name -> module (None: it is one itself) of what `if TYPE_CHECKING:` imports in botan_fast/__init__.py."""
    tree = ast.parse(Path(bf.__file__).read_text())
    [block] = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    found = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom)
        for alias in node.names:
            assert alias.asname == alias.name, "`import x as x` hands a name on, `import x` does not"
            found[alias.name] = node.module
    return found


def test_type_checkers_see_the_names_that_are_loaded_on_first_use():
    assert names_for_type_checkers() == bf._PUBLIC | dict.fromkeys(bf._MODULES)


def functions_of(name: str) -> dict[str, object]:
    """The function `name`, or the methods and properties that the class `name` has of its own."""
    value = getattr(bf, name)
    if not inspect.isclass(value):
        return {name: value}
    found = {}
    for key, member in vars(value).items():
        if key.startswith("_") and key not in ("__init__", "__call__", "__getitem__", "__iter__", "__len__"):
            continue
        if isinstance(member, property):
            found[f"{name}.{key}"] = member.fget
        elif isinstance(member, (classmethod, staticmethod)):
            found[f"{name}.{key}"] = member.__func__
        elif inspect.isfunction(member):
            found[f"{name}.{key}"] = member
    return found


@pytest.mark.parametrize("name", NAMES)
def test_public_names_are_annotated(name):
    if not callable(getattr(bf, name)):
        return  # a constant, such as KOB_ANDERSEN
    for key, function in functions_of(name).items():
        signature = inspect.signature(function)
        bare = [
            parameter.name
            for parameter in signature.parameters.values()
            if parameter.annotation is parameter.empty and parameter.name not in ("self", "cls")
        ]
        assert bare == [], f"{key} has arguments without a type"
        assert signature.return_annotation is not signature.empty, f"{key} has no type of the result"


def test_the_package_says_that_it_has_types():
    assert Path(bf.__file__).with_name("py.typed").exists()
