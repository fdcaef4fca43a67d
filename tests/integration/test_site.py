"""The parts of the documentation site that need no Sphinx: its extensions, and that nothing public is left out."""

import importlib.util
import json
import re
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

import botan_fast
from botan_fast import callbacks, figures

DOCS = Path(__file__).parents[2] / "docs"


def extension(name: str) -> ModuleType:
    return module_of(DOCS / "_ext" / f"{name}.py")


def module_of(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"site_{path.stem}", path)
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


def test_indented_equations_keep_their_lines():
    text = "One step.\n\n    e <- f(e)\n    x <- |x|\n\nThe rest."
    assert converted(text) == "One step.\n\n::\n\n    e <- f(e)\n    x <- |x|\n\nThe rest.\n"


def test_sections_with_headers_stay():
    text = "One line.\n\nParameters\n----------\nx : int\n    A number.\n\nReturns\n-------\nint\n    Another.\n"
    assert converted(text) == text


def test_a_source_is_no_exception():
    """Prose after a section with a header belongs to the docstring, not to the section."""
    found = converted("One line.\n\nRaises\n------\nInputError\n    for others.\n\nSource: the paper, Fig. 4.\n")
    assert found.endswith("InputError\n    for others.\n\n\n\n**Source:** the paper, Fig. 4.\n")


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


def test_pages_that_docstrings_name_are_links():
    assert converted("As |x| (docs/models.md), not `docs/models.md`.") == (
        "As \\|x\\| (:doc:`/models`), not `docs/models.md`.\n"
    )


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
    listed = set(re.findall(r"(?m)^   ~?([\w.]+)$", (DOCS / "reference/index.rst").read_text()))
    wanted = {name for name in botan_fast.__all__ if not name.startswith("__")}
    wanted |= {f"callbacks.{name}" for name in callbacks.__all__}
    wanted |= {f"figures.{name}" for name in functions_of_figures()}
    assert wanted - listed == set()


def test_the_reference_has_what_pages_import():
    """A page that shows `from botan_fast.X import name` may be asked what the name is."""
    listed = set(re.findall(r"(?m)^   ~?([\w.]+)$", (DOCS / "reference/index.rst").read_text()))
    imported = {
        f"{module}.{name}"
        for page in [DOCS.parent / "README.md", *DOCS.rglob("*.md")]
        for module, names in re.findall(r"(?m)^from botan_fast\.([\w.]+) import (.+)$", page.read_text())
        for name in names.split(", ")
    }
    assert imported - listed == set()


def functions_of_figures() -> dict[str, FunctionType]:
    found = {name: getattr(figures, name) for name in figures.__all__}
    return {name: value for name, value in found.items() if isinstance(value, FunctionType)}


def test_the_gallery_has_every_figure():
    """A figure is what returns axes; the others write files, and choose or name what is drawn."""
    drawn = {name for name, function in functions_of_figures().items() if "Axes" in function.__annotations__["return"]}
    scripts = [path.read_text() for path in sorted((DOCS / "gallery").glob("plot_*.py"))]
    called = {name for script in scripts for name in re.findall(r"figures\.(\w+)\(", script)}
    assert len(drawn) > 12
    assert drawn - called == set()
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


def test_a_link_fails_only_where_its_server_says_that_the_page_is_gone():
    def line(status: str, info: str) -> str:
        return json.dumps({"filename": "a.md", "lineno": 3, "status": status, "uri": "https://x.org", "info": info})

    judged = module_of(DOCS / "links.py").sorted_out(
        [
            line("broken", "404 Client Error: Not Found for url: https://x.org"),
            line("broken", "403 Client Error: Forbidden for url: https://x.org"),
            line("broken", "HTTPSConnectionPool(host='x.org', port=443): Max retries exceeded"),
            line("timeout", "Read timed out"),
            line("working", ""),
            line("redirected", "https://www.x.org"),
            line("unchecked", ""),
        ]
    )
    assert judged[0] == ["a.md:3: https://x.org: 404 Client Error: Not Found for url: https://x.org"]
    assert (len(judged[1]), judged[2]) == (3, 2)


def anchors(page: Path) -> set[str]:
    """Those that the repository and the site give to the headings of a page."""
    text = re.sub(r"(?ms)^```.*?^```", "", page.read_text(encoding="utf-8"))
    heads = [re.sub(r"[`*]|\]\([^)]*\)|\[", "", head) for head in re.findall(r"(?m)^#+ (.+)$", text)]
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md"])
def test_links_of_pages_outside_docs(name):
    """Within docs/ Sphinx looks after files and anchors, with -W; README is no page of the site."""
    page = DOCS.parent / name
    links = re.findall(r"\]\((?![a-z]+:)([^)#\s]*)(?:#([^)\s]+))?\)", page.read_text(encoding="utf-8"))
    for file, anchor in links:
        target = page.parent / file if file else page
        assert target.exists(), f"{name}: {file} does not exist"
        assert not anchor or anchor in anchors(target), f"{name}: {file} has no heading for #{anchor}"


def test_pages_that_the_code_names_are_there():
    """Docstrings, messages and comments name pages by their path from the root."""
    root = DOCS.parent
    files = [
        path for folder in ("python", "csrc", "cmake", "benchmarks", "tests") for path in (root / folder).rglob("*")
    ]
    texts = {
        path: path.read_text(encoding="utf-8")
        for path in files
        if path.suffix in {".py", ".h", ".cpp", ".cu", ".cuh", ".toml", ".cmake"}
    }
    named = {
        (str(path.relative_to(root)), page)
        for path, text in texts.items()
        for page in re.findall(r"\bdocs/[\w/-]+\.md\b", text)
    }
    missing = {f"{path}: {page}" for path, page in named if not (root / page).is_file()}
    assert len(named) > 20
    assert missing == set()
