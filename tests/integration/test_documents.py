"""What README and docs show is what happens: every block runs, and what follows from it is checked beside it."""

import pytest

from tests.helpers.documents import DOCUMENTS, ROOT, blocks, documents, workspace


@pytest.mark.parametrize("name", DOCUMENTS)
def test_blocks(name, tmp_path, monkeypatch):
    """The blocks of a document, in its order, in one folder. Checks are in HTML comments of the document."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")  # restored at the end; #SBATCH sets it
    workspace(tmp_path)
    document = documents().parse(ROOT / name)
    examples = list(document.examples())
    shown = [example for example in examples if "invisible" not in document.text[example.start : example.start + 40]]
    assert len(shown) == len(blocks(document)), f"{name}: a block is of another language than python, bash or toml"
    for example in examples:
        example.evaluate()
