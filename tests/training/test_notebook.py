"""Progress in a notebook: what is chosen where, a picture that is replaced, and a kernel of Jupyter itself."""

import sys
import types

import pytest

from botan_fast.callbacks import LiveCurve, LogLines, ProgressBar
from botan_fast.errors import InputError
from botan_fast.terminal import bar_class, in_notebook
from botan_fast.training.watchers import default_callbacks
from tests.helpers.runs import run


def shell(monkeypatch, application):
    """Let IPython be loaded, with a shell of this application; None: without a shell."""
    found = application and types.SimpleNamespace(config={application: {}})
    module = types.SimpleNamespace(get_ipython=lambda: found, version_info=(9, 0))
    monkeypatch.setitem(sys.modules, "IPython", module)


@pytest.mark.parametrize(
    ("application", "expected"), [("IPKernelApp", True), ("TerminalIPythonApp", False), (None, False)]
)
def test_a_notebook_is_a_shell_with_a_kernel(monkeypatch, application, expected):
    shell(monkeypatch, application)
    assert in_notebook() is expected


def test_without_ipython_there_is_no_notebook(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()
    assert "IPython" not in sys.modules
    assert bar_class().__module__ == "tqdm.std"


def test_a_notebook_has_a_bar_and_a_log_has_lines(monkeypatch):
    monkeypatch.setattr("sys.stderr", types.SimpleNamespace(isatty=lambda: False, write=len, flush=bool))
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert [type(one) for one in default_callbacks(True)] == [LogLines]
    shell(monkeypatch, "IPKernelApp")
    assert [type(one) for one in default_callbacks(True)] == [ProgressBar]
    assert default_callbacks(False) == []


# ---- the curve ------------------------------------------------------------------------------------------------------


class Handle:
    def __init__(self, shown):
        self.shown = shown

    def update(self, image):
        self.shown.append(("update", image))


@pytest.fixture
def shown(monkeypatch):
    """What a notebook shows, in order: ("display" or "update", image)."""
    shell(monkeypatch, "IPKernelApp")
    pictures = []

    def display(image, display_id):
        assert display_id is True
        pictures.append(("display", image))
        return Handle(pictures)

    module = types.SimpleNamespace(display=display, Image=lambda data, format: (data, format))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return pictures


def test_the_picture_is_replaced(shown):
    curve = LiveCurve(every=0)
    for epoch in range(3):
        curve.epoch_finished({"epoch": epoch, "train_loss": 1 / (epoch + 1)}, None)
    curve.run_ended()  # all is drawn already
    assert [how for how, _ in shown] == ["display", "update", "update"]
    assert curve.drawn == 3
    assert all(data.startswith(b"\x89PNG") for _, (data, _) in shown)
    assert shown[0][1] != shown[2][1]


def test_it_is_not_drawn_for_every_epoch(shown):
    curve = LiveCurve(every=3600)
    for epoch in range(5):
        curve.epoch_finished({"epoch": epoch, "train_loss": 0.5}, None)
    assert curve.drawn == 1
    curve.run_ended()  # with the epochs since
    assert curve.drawn == 2


def test_a_file_is_replaced_and_a_resumed_run_begins_with_its_history(tiny_data, tmp_path):
    curve = LiveCurve(tmp_path / "curve.svg", every=3600)
    run(tiny_data, epochs=1, output=tmp_path / "run", callbacks=[curve])
    first = (tmp_path / "curve.svg").read_text()
    assert curve.drawn == 1
    other = LiveCurve(tmp_path / "curve.svg", every=3600)
    run(tiny_data, epochs=3, output=tmp_path / "run", callbacks=[other], resume=True)
    assert [row["epoch"] for row in other._rows] == [0, 1, 2]
    assert (tmp_path / "curve.svg").read_text() != first
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_curve_changes_nothing(tiny_data, tmp_path):
    curve = LiveCurve(tmp_path / "curve.png", every=0)
    plain, watched = (run(tiny_data, epochs=2, callbacks=callbacks) for callbacks in ([], [curve]))
    assert [row["train_loss"] for row in plain.history] == [row["train_loss"] for row in watched.history]


def test_mistakes(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    with pytest.raises(InputError, match="there is no notebook to draw in; give path"):
        LiveCurve()
    with pytest.raises(InputError, match=r"path = 'a\.gif' does not end in"):
        LiveCurve("a.gif")
    for every in (-1, "2", float("nan")):
        with pytest.raises(InputError, match="give the seconds between two drawings"):
            LiveCurve("a.png", every=every)


# ---- a kernel -------------------------------------------------------------------------------------------------------


CELL = """
import botan_fast as bf
from botan_fast.callbacks import LiveCurve
result = bf.train({train!r}, {test!r}, epochs=2, hidden_size=32, num_steps=2, callbacks=[LiveCurve()])
result
"""


def bars_of(notebook):
    """The bars in the widgets that the notebook shows, in their order: what each says at its two ends, at last."""
    [found] = notebook.metadata.widgets.values()
    models = found["state"]
    bars = []
    for cell in notebook.cells:
        for output in cell.outputs:
            shown = output.get("data", {}).get("application/vnd.jupyter.widget-view+json")
            if shown:
                parts = [
                    models[name.removeprefix("IPY_MODEL_")] for name in models[shown["model_id"]]["state"]["children"]
                ]
                bars.append([part["state"]["value"] for part in parts if part["model_name"] == "HTMLModel"])
    return bars


def test_in_jupyter(tiny_data):
    """A bar of widgets to the end, one curve, the result as a table, and `result.plot()` as a picture."""
    for name in ("ipykernel", "ipywidgets"):
        pytest.importorskip(name)
    client = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    source = CELL.format(train=str(tiny_data / "train/*.npz"), test=str(tiny_data / "test/*.npz"))
    cells = [nbformat.v4.new_code_cell(text) for text in (source, "result.plot()")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    first, second = ([o for o in cell.outputs if "data" in o] for cell in notebook.cells)
    bars = bars_of(notebook)
    assert [begin.split(":")[0] for begin, _ in bars] == [
        "reading",
        "reading",
        "training",
    ]  # train, test; the first two go
    begin, end = bars[-1]
    assert "100%" in begin
    assert "8/8" in end  # batches: 4 configurations, 2 epochs
    assert "epoch=1" in end
    assert sum("image/png" in output.data for output in first) == 1  # the curve, replaced after the first epoch
    assert "<caption>TrainingResult</caption>" in first[-1].data["text/html"]
    assert [sorted(output.data) for output in second if "image/png" in output.data] == [["image/png", "text/plain"]]
    said = "".join(o.text for o in notebook.cells[0].outputs if o.output_type == "stream" and o.name == "stderr")
    assert "train_loss" not in said  # the lines of a log, which the bar takes the place of
    assert "batch/s" not in said  # and the bar of a terminal
