"""recipe/recipe.yaml and [tool.cibuildwheel]: what pyproject.toml says, and files that are there."""

import re
from pathlib import Path

import pytest
import yaml

from botan_fast.formats.pattern import tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}  # where conda-forge has another name
OLDER_PYTHON = r"python_version < '([\d.]+)'"


def conda_requirement(requirement: str) -> tuple[str | None, str]:
    """("<3.11" or None, "tomli >=2") of "tomli>=2; python_version < '3.11'"."""
    text, _, marker = requirement.partition(";")
    name, bound = re.fullmatch(r"([\w-]+)(>=[\d.]+)", text.strip()).groups()
    condition = re.fullmatch(OLDER_PYTHON, marker.strip())
    assert bool(condition) == bool(marker), requirement
    return condition and f"<{condition[1]}", f"{CONDA_NAMES.get(name, name)} {bound}"


def conditional(entries: list) -> set[tuple[str | None, str]]:
    """The entries of a recipe's list in the form of `conda_requirement`."""
    found = set()
    for entry in entries:
        if isinstance(entry, str):
            found.add((None, entry))
        else:
            python = re.fullmatch(r'match\(python, "(.*)"\)', entry["if"])
            found |= {(python and python[1], name) for name in [entry["then"]] if isinstance(name, str)}
    return found


@pytest.fixture(scope="module")
def recipe():
    return yaml.safe_load((ROOT / "recipe/recipe.yaml").read_text(encoding="utf-8"))


def test_the_same_package(recipe):
    project = PROJECT["project"]
    assert recipe["package"]["name"] == project["name"]
    assert recipe["context"]["version"] == project["version"]
    assert recipe["about"]["summary"] == project["description"]
    assert recipe["about"]["license"] == project["license"]
    assert [recipe["about"]["license_file"]] == project["license-files"]
    scripts = [f"{name} = {target}" for name, target in project["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == scripts
    oldest = project["requires-python"].removeprefix(">=")
    assert f'match(python, "<{oldest}")' in recipe["build"]["skip"]


def test_the_same_requirements(recipe):
    expected = {conda_requirement(text) for text in PROJECT["project"]["dependencies"]}
    assert conditional(recipe["requirements"]["run"]) == expected | {(None, "python")}


def test_the_same_build_requirements(recipe):
    expected = {conda_requirement(text)[1] for text in PROJECT["build-system"]["requires"]}
    assert set(recipe["requirements"]["host"]) == expected | {"pip", "python"}
    cmake = re.search(r"cmake_minimum_required\(VERSION ([\d.]+)\)", (ROOT / "CMakeLists.txt").read_text())[1]
    assert f"cmake >={cmake}" in recipe["requirements"]["build"]


def test_its_script_takes_known_options(recipe):
    [script] = recipe["build"]["script"]
    cmake = "".join(path.read_text() for path in (ROOT / "cmake").glob("*.cmake"))
    names = re.findall(r"cmake\.define\.(\w+)=", script)
    assert names
    assert all(name in cmake for name in names)


def test_its_tests_are_there(recipe):
    files = [name for test in recipe["tests"] if "files" in test for name in test["files"]["source"]]
    assert files
    assert all((ROOT / name).is_file() for name in files)


def test_wheels_for_every_python():
    """cibuildwheel's versions begin with the oldest that the package takes, and none is left out."""
    wheels = PROJECT["tool"]["cibuildwheel"]
    oldest = int(PROJECT["project"]["requires-python"].removeprefix(">=3."))
    versions = [int(re.fullmatch(r"cp3(\d+)-\*", name)[1]) for name in wheels["build"]]
    assert versions == list(range(oldest, versions[-1] + 1))
    [script] = re.findall(r"\{project\}/(\S+)", wheels["test-command"])
    assert (ROOT / script).is_file()
