"""The layout of docs/architecture.md: which room may import which, read from the sources; and files that stay small."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "python" / "botan_fast"
CORE = ROOT / "csrc"

# The ground floor, from top to bottom: a file may import those below it.
GROUND = (
    *("info", "device", "box", "checks", "arrays", "quantities", "paper", "markup"),
    *("option", "lock", "log", "files", "terminal", "interruption", "processes", "errors"),
)
ROOMS = {
    "formats": set(),
    "ops": set(),
    "graph": set(),
    "physics": {"graph"},
    "model": {"ops", "graph"},
    "data": {"formats", "graph", "physics"},
    "evaluation": {"ops", "physics", "model", "data"},
    "simulation": {"graph", "physics", "data"},
    "bench": {"ops", "graph", "physics", "model"},
    "training": {"ops", "graph", "physics", "model", "data", "evaluation", "figures"},
    "figures": set(),
    "report": {"physics", "model", "data", "evaluation", "training", "figures"},
    "sweep": {"data", "evaluation", "simulation", "training"},
}
DOORS = {"__init__", "__main__", "callbacks"}  # of the package: names on first use, and `python -m botan_fast`
TO_THE_CORE = {"device", "info", "ops", "graph", "physics"}  # who may import the compiled module


def room_of(module: str) -> str:
    """Room, or file of the ground floor, of a module in the package: "graph" of "graph.build"."""
    return module.split(".")[0] or "__init__"


def imports(source: str, package: list[str]) -> Iterator[str]:
    """The modules of botan_fast that a source imports, relative to the package, those inside functions too.

    `package` is the folder of the file, as a list of names below botan_fast.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "botan_fast":
                    yield alias.name.removeprefix("botan_fast").removeprefix(".")
        elif isinstance(node, ast.ImportFrom):
            if node.level == 0:
                if (node.module or "").split(".")[0] != "botan_fast":
                    continue
                base = node.module.split(".")[1:]
            else:
                base = package[: len(package) - node.level + 1]
                base = base + (node.module.split(".") if node.module else [])
            for alias in node.names:  # `from .. import ops` imports a room, `from ..ops import mlp` a name of one
                yield ".".join(base or [alias.name])


def complaint(importer: str, imported: str) -> str | None:
    """Why the file `importer` ("model/botan.py") may not import the module `imported` ("ops.library"), or None."""
    own, other = room_of(importer.removesuffix(".py").replace("/", ".")), room_of(imported)
    if own == other or own in DOORS:
        return None
    line = f"{importer} imports {imported.replace('.', '/') or '__init__'}.py"
    if other == "_core":
        return None if own in TO_THE_CORE else f"{line}: {own} may not know the compiled module"
    if other == "__version__":
        return None
    if own in GROUND:
        below = GROUND[GROUND.index(own) + 1 :]
        return None if other in below else f"{line}: {own} of the ground floor may not know {other}"
    if other in GROUND or own == "cli":
        return None
    return None if other in ROOMS[own] else f"{line}: {own} may not know {other}"


def complaints(files: dict[str, str]) -> list[str]:
    found = []
    for name, source in files.items():
        package = name.split("/")[:-1]
        for imported in imports(source, package):
            if text := complaint(name, imported):
                found.append(text)
    return found


def test_rooms_import_only_what_stands_below_them():
    sources = {str(path.relative_to(PACKAGE)): path.read_text() for path in PACKAGE.rglob("*.py")}
    rooms = {name.split("/")[0] for name in sources if "/" in name}
    assert rooms == {*ROOMS, "cli"}, "a room without arrows: add it to ROOMS and to docs/architecture.md"
    files = {name.removesuffix(".py") for name in sources if "/" not in name}
    assert files == {*GROUND, *DOORS}, "a file of the ground floor without a place in GROUND"
    assert complaints(sources) == []


@pytest.mark.parametrize(
    ("file", "line", "imported", "expected"),
    [
        ("ops/sums.py", "from ..model.botan import BOTAN", "model/botan.py", "ops may not know model"),
        ("data/a.py", "def f():\n    from ..training import loop", "training.py", "data may not know training"),
        ("formats/a.py", "import botan_fast.graph.build", "graph/build.py", "formats may not know graph"),
        ("graph/a.py", "from botan_fast.cli import main", "cli.py", "graph may not know cli"),
        ("box.py", "from .device import empty", "device.py", "box of the ground floor may not know device"),
        ("errors.py", "from . import ops", "ops.py", "errors of the ground floor may not know ops"),
        ("model/a.py", "from .. import _core", "_core.py", "model may not know the compiled module"),
    ],
)
def test_a_forbidden_import_is_found(file, line, imported, expected):
    assert complaints({file: line}) == [f"{file} imports {imported}: {expected}"]


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("training/a.py", "from ..evaluation.scores import evaluate"),
        ("graph/a.py", "from .. import _core\nfrom ..box import check_box\nfrom . import graph\nimport torch"),
        ("cli/a.py", "from ..figures import propensity\nfrom .. import __version__"),
        ("box.py", "from .errors import InputError"),
    ],
)
def test_what_is_allowed_is_not_complained_of(file, line):
    assert complaints({file: line}) == []


def test_formats_can_be_read_without_torch():
    code = "import sys, botan_fast.formats; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("room", [*ROOMS, "cli"])
def test_a_room_says_what_is_in_it(room):
    """The docstring of a room lists its files; of the commands, it says what one is made of."""
    text = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text()))
    names = {path.stem for path in (PACKAGE / room).glob("*.py")} - {"__init__", "__main__"}
    if room == "cli":
        names = {"entry", "options", "NAME", "add_arguments", "run"}
    assert {name for name in names if not re.search(rf"\b{name}\b", text)} == set()


# ---- the core -------------------------------------------------------------------------------------------------------

# The folders of csrc that a file of each folder may include from; "" is csrc itself.
FOLDERS = {
    "": {""},
    "bindings": {"", "bindings"},
    "cpu": {"", "cpu/runtime", "cpu/geometry", "cpu/network"},  # simd.cpp chooses for both
    "cpu/runtime": {"", "cpu/runtime"},
    "cpu/geometry": {"", "cpu/runtime", "cpu/geometry"},
    "cpu/network": {"", "cpu/runtime", "cpu/network"},
    "cuda/runtime": {"", "cuda/runtime"},
    "cuda/geometry": {"", "cuda/runtime", "cuda/geometry"},
    "cuda/network": {"", "cuda/runtime", "cuda/network"},
}
EMULATION = {"simt.h", "matrix.h"}  # of tests/cuda_host, in place of CUDA's headers where the CPU stands in


def includes(source: str) -> list[str]:
    return re.findall(r'^\s*#\s*include\s+"([^"]+)"', source, flags=re.MULTILINE)


def test_folders_of_the_core_include_only_what_they_may():
    found = []
    for path in sorted(p for p in CORE.rglob("*") if p.suffix in (".h", ".cpp", ".cu", ".cuh")):
        name = path.relative_to(CORE)
        folder = "" if len(name.parts) == 1 else "/".join(name.parts[:-1])
        assert folder in FOLDERS, f"csrc/{folder} has no place in FOLDERS"
        for included in includes(path.read_text()):
            if included in EMULATION:
                continue
            assert (CORE / included).is_file(), f"csrc/{name} includes {included}; write the path from csrc/"
            if included.rpartition("/")[0] not in FOLDERS[folder]:
                found.append(f"csrc/{name} includes {included}")
    assert found == []


def test_the_core_knows_neither_torch_nor_python():
    for path in (p for p in CORE.rglob("*") if p.suffix in (".h", ".cpp", ".cu", ".cuh")):
        if path.parent.name != "bindings":
            assert not re.search(r"#\s*include\s*[<\"](torch|ATen|c10|Python\.h|pybind11)", path.read_text()), path


# ---- sizes ----------------------------------------------------------------------------------------------------------


def test_files_can_be_read_in_one_sitting():
    """400 lines of Python, 500 of a kernel."""
    python = [p for folder in ("python", "tests", "benchmarks", "cmake") for p in (ROOT / folder).rglob("*.py")]
    kernels = [p for p in CORE.rglob("*") if p.suffix in (".h", ".cpp", ".cu", ".cuh")]
    lengths = {p: len(p.read_text().splitlines()) for p in (*python, *kernels)}
    assert [f"{p}: {n} lines" for p, n in lengths.items() if n > (400 if p.suffix == ".py" else 500)] == []
