"""Sizes, style and files of figures."""

import pickle

import matplotlib
import pytest
from matplotlib.figure import Figure

from botan_fast.errors import InputError
from botan_fast.figures import COLUMN, PAGE, losses, pair_change_compared, save_both, save_figure, style

HISTORY = [{"epoch": 0, "train_loss": 0.2}, {"epoch": 1, "train_loss": 0.1}]


def test_figures_have_the_widths_of_a_journal():
    assert (COLUMN, PAGE) == (3.37, 7.0)
    assert losses(HISTORY).figure.get_figwidth() == COLUMN
    assert pair_change_compared([1.0, 1.1], [0.1, 0.2], [0.1, 0.2])[0].figure.get_figwidth() == PAGE


def test_the_style_is_that_of_the_figure_alone():
    before = dict(matplotlib.rcParams)
    ax = losses(HISTORY)
    assert dict(matplotlib.rcParams) == before
    assert ax.xaxis.label.get_fontfamily() == ["STIXGeneral"]
    with style():
        assert matplotlib.rcParams["pdf.fonttype"] == 42
        assert matplotlib.rcParams["image.cmap"] == "viridis"


def test_a_notebook_shows_a_figure():
    """Without pyplot: IPython asks an object for `_repr_png_`."""
    figure = pair_change_compared([1.0, 1.1], [0.1, 0.2], [0.1, 0.2])[0].figure
    shown = pickle.loads(pickle.dumps(figure))._repr_png_()
    assert shown.startswith(b"\x89PNG")
    assert int.from_bytes(shown[16:20], "big") == round(150 * PAGE)


@pytest.mark.parametrize(("ending", "begins"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_the_same_figure_is_the_same_file(tmp_path, ending, begins):
    path = tmp_path / f"a.{ending}"
    save_figure(losses(HISTORY), path)
    first = path.read_bytes()
    assert first.startswith(begins)
    save_figure(losses(HISTORY).figure, path)
    assert path.read_bytes() == first
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_both_kinds_of_file(tmp_path):
    paths = save_both(pair_change_compared([1.0, 1.1], [0.1, 0.2], [0.1, 0.2]), tmp_path, "T0.44/e")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in paths) == ["T0.44_e.pdf", "T0.44_e.png"]


def test_an_ending_that_is_none(tmp_path):
    with pytest.raises(InputError, match=r"path = '.*a.jpeg' does not end in .pdf, .png, .svg"):
        save_figure(Figure(), tmp_path / "a.jpeg")
    assert not list(tmp_path.iterdir())
