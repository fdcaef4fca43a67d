"""The parts of the documentation site that need no Sphinx: its extensions, and that nothing public is left out."""

import importlib.util
import re
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

import botan_fast
from botan_fast import callbacks, figures

DOCS = Path(__file__).parents[2] / "docs"


def extension(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"site_{name}", DOCS / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def converted(text: str) -> str:
    return "\n".join(extension("docstrings").converted(text.strip("\n").split("\n")))


def test_a_list_of_parameters_ends_where_prose_begins():
    """Two blank lines end a section of napoleon; without them the sentence would be a parameter."""
    found = converted("""
One line.

Parameters
----------
cutoff : the bound of |r|, in units
    of sigma.

types : integers.

Returns a `Graph`.

>>> 1 + 1
2
""")
    assert "cutoff\n    the bound of \\|r\\|, in units\n    of sigma." in found
    assert "types\n    integers.\n\n\n\n**Returns** a `Graph`." in found
    assert found.endswith("\n\n\nExamples\n--------\n>>> 1 + 1\n2\n")


def test_sections_with_headers_stay():
    text = "One line.\n\nParameters\n----------\nx : int\n    A number.\n\nReturns\n-------\nint\n    Another.\n"
    assert converted(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "time         float, or None\nnum_runs     a number,\n             of runs",
        "time : float, or None\nnum_runs : a number,\n    of runs",
    ],
)
def test_lists_in_both_ways_of_writing(text):
    assert converted(text) == "time\n    float, or None\nnum_runs\n    a number,\n    of runs\n"


def test_prose_is_no_list():
    text = "A sentence that says this : and goes on.\nA second line of the same paragraph."
    assert converted(text) == text + "\n"


def test_bars_are_no_substitutions_but_stay_in_code():
    assert converted("The length |r_ij| of ``a|b`` and `c|d`.") == "The length \\|r_ij\\| of ``a|b`` and `c|d`.\n"
    assert converted("As follows::\n\n    S = <|u|>") == "As follows::\n\n    S = <|u|>\n"


def test_links_lead_to_pages_files_and_folders():
    links, root = extension("repository_links"), DOCS.parent
    text = (
        "[a](CONTRIBUTING.md#test) [b](docs/models.md) [c](benchmarks/results) [d](LICENSE) [e](https://x.org) [f](#g)"
    )
    assert links.relinked(text, root / "CHANGELOG.md", DOCS / "project/changelog.md") == (
        "[a](contributing.md#test) [b](../models.md) [c](benchmarks.md) [d](../../LICENSE) [e](https://x.org) [f](#g)"
    )
    with pytest.raises(FileNotFoundError, match=r"CHANGELOG\.md: link to nowhere\.md, which does not exist"):
        links.relinked("[a](nowhere.md)", root / "CHANGELOG.md", DOCS / "project/changelog.md")


def test_the_reference_has_every_public_name():
    listed = set(re.findall(r"(?m)^   ([\w.]+)$", (DOCS / "reference/index.rst").read_text()))
    wanted = {name for name in botan_fast.__all__ if not name.startswith("__")}
    wanted |= {f"callbacks.{name}" for name in callbacks.__all__}
    wanted |= {f"figures.{name}" for name in functions_of_figures()}
    assert wanted - listed == set()


def functions_of_figures() -> set[str]:
    return {name for name in figures.__all__ if isinstance(getattr(figures, name), FunctionType)}


def test_the_gallery_has_every_figure():
    scripts = [path.read_text() for path in sorted((DOCS / "gallery").glob("plot_*.py"))]
    called = {name for script in scripts for name in re.findall(r"figures\.(\w+)\(", script)}
    assert functions_of_figures() - called == {"style", "save_figure", "save_both"}
    assert all(re.search(r"(?m)^figure = ", script) for script in scripts), "each leaves its picture in `figure`"


def test_the_theory_names_files_that_are_there():
    """Its table: files of Python, of the core, and of the tests."""
    root, table = DOCS.parent, (DOCS / "theory.md").read_text().split("(Python below")[0]
    rows = [row.split("|")[2:5] for row in table.splitlines() if row.startswith("| [")]
    assert len(rows) > 8
    for cells in rows:
        for folder, cell in zip(("python/botan_fast", "csrc/cpu", "tests"), cells, strict=True):
            place = ""
            for name in re.findall(r"`([^`]+)`", cell):
                place = name.rpartition("/")[0] or place  # a name without a folder is beside the one before
                path = f"{place}/{name.rpartition('/')[2]}"
                assert (root / folder / path).is_file() or (root / "csrc" / path).is_file(), f"{folder}/{path}"


def test_every_page_is_in_a_table_of_contents():
    """Sphinx says so too; here it takes no time, and names the page."""
    listed = set()
    for page in [*DOCS.glob("*/index.md"), *DOCS.glob("*/index.rst"), DOCS / "index.md"]:
        entries = re.findall(r"(?m)^ *([\w./-]+)$", page.read_text())
        listed |= {(page.parent / f"{entry}.md").resolve() for entry in entries}
    pages = {path.resolve() for path in DOCS.rglob("*.md") if "auto_gallery" not in path.parts}
    assert {str(page.relative_to(DOCS)) for page in pages - listed} == {"index.md"}
