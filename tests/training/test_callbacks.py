"""What is told while a run goes on, and to whom."""

import os
import signal
import sys

import numpy as np
import pytest

import botan_fast as bf
from botan_fast.callbacks import Callback, CallbackError, LogLines, ProgressBar
from botan_fast.errors import BotanFastWarning, InputError
from botan_fast.training.run_directory import RunDirectory
from tests.helpers.runs import assert_same_run, run


def test_log_lines(tiny_data, capfd):
    run(tiny_data, epochs=3, progress=True)
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "training on cpu: 4 configurations, 2 to test, epochs 0 to 2"
    assert lines[1].endswith(": A 64, B 16")
    assert [line.split()[1] for line in lines[2:]] == ["0/3", "2/3"]
    assert "edge_r" in lines[2]


def test_progress_bar(tiny_data, capfd):
    run(tiny_data, epochs=2, callbacks=[ProgressBar()])
    last = capfd.readouterr().err.split("\r")[-1]
    assert "8/8" in last
    assert "edge_r" in last


def test_functions_and_objects_as_callbacks(tiny_data):
    rows, batches = [], []

    class Batches(Callback):
        def batch_finished(self, epoch, loss):
            batches.append((epoch, loss))

    result = run(tiny_data, epochs=2, callbacks=[rows.append, Batches(), LogLines()])
    assert rows == result.history
    assert np.mean([loss for epoch, loss in batches if epoch == 1]) == pytest.approx(rows[1]["train_loss"])


def test_without_a_test_a_line_each_minute(tiny_data, capfd, monkeypatch):
    monkeypatch.setattr(LogLines, "EVERY", 0.0)
    bf.train(tiny_data / "train/*.npz", epochs=3, hidden_size=8, num_steps=1)
    lines = capfd.readouterr().err.splitlines()
    assert len([line for line in lines if "batch" in line]) == 3 * 4
    [line] = [line for line in lines if "epoch 1/3  batch 2/4  loss " in line]
    assert line.endswith(" left")


def test_the_bar_ends_with_the_scores_of_the_last_epoch(tiny_data, capfd):
    result = run(tiny_data, epochs=2, callbacks=[ProgressBar()])
    last = capfd.readouterr().err.split("\r")[-1]
    assert f"node_r={result.history[-1]['node_pearson']:.4f}" in last


@pytest.mark.parametrize("stream", ["missing", "closed"])
def test_without_standard_error(tiny_data, tmp_path, monkeypatch, stream):
    error = None if stream == "missing" else open(tmp_path / "error", "w")  # noqa: SIM115
    if error is not None:
        error.close()
    monkeypatch.setattr(sys, "stderr", error)
    result = bf.train(tiny_data / "train/*.npz", tiny_data / "test/*.npz", epochs=1, hidden_size=8, num_steps=1)
    bf.evaluate(result.model, tiny_data / "test/*.npz", progress=True)
    bf.convert(tiny_data / "test/*.npz", tmp_path / "a.h5", progress=True)
    assert repr(result).startswith("TrainingResult(1 epochs, train_loss=")
    assert "\n" not in repr(result)


class Calls(Callback):
    """Every call, in their order; `stop_after` that epoch."""

    def __init__(self, stop_after=None):
        self.calls, self.stop_after, self.last = [], stop_after, None

    def run_opened(self, run):
        self.calls.append(("opened", run.output, [row["epoch"] for row in run.history], run.config["settings"]["p"]))

    def run_started(self, first_epoch, epochs, batches):
        self.calls.append(("started", first_epoch, epochs, batches))

    def batch_finished(self, epoch, loss):
        self.calls.append("batch")

    def epoch_finished(self, row, model):
        self.last = row["epoch"]
        self.calls.append(("epoch", row["epoch"]))

    def reason_to_stop(self):
        self.calls.append("asked")
        return "enough" if self.last == self.stop_after is not None else None

    def run_ended(self):
        self.calls.append("ended")


def test_the_order_of_the_calls(tiny_data, tmp_path):
    first, second = Calls(), Calls()
    run(tiny_data, epochs=1, output=tmp_path / "run", callbacks=[first])
    epoch = ["batch"] * 4
    # The last epoch ends the run anyhow: nobody is asked.
    assert first.calls == [
        ("opened", tmp_path / "run", [], 0.4), "asked", ("started", 0, 1, 4), *epoch, ("epoch", 0), "ended",
    ]  # fmt: skip
    run(tiny_data, epochs=3, output=tmp_path / "run", resume=True, callbacks=[second])
    assert second.calls == [
        ("opened", tmp_path / "run", [0], 0.4), "asked", ("started", 1, 3, 4),
        *epoch, ("epoch", 1), "asked", *epoch, ("epoch", 2), "ended",
    ]  # fmt: skip


def test_a_callback_ends_the_run(tiny_data, tmp_path, capfd):
    """It is the run of so many epochs, and goes on where nobody wants to end it."""
    stopped = run(tiny_data, epochs=9, output=tmp_path / "run", progress=True, callbacks=[Calls(stop_after=2)])
    assert stopped.stopped == "Calls: enough"
    assert len(stopped.history) == 3
    assert RunDirectory(tmp_path / "run").read_state().stopped == "Calls: enough"
    assert capfd.readouterr().err.splitlines()[-1] == "stopped after epoch 2: Calls: enough"
    assert RunDirectory(tmp_path / "run").last_file.exists()
    whole = run(tiny_data, epochs=9)
    assert whole.stopped is None
    longer = run(tiny_data, epochs=9, output=tmp_path / "run", resume=True)
    assert longer.stopped is None
    assert_same_run(longer, whole)
    assert RunDirectory(tmp_path / "run").read_state().stopped is None


def test_it_is_saved_whatever_epochs_are_saved_else(tiny_data, tmp_path):
    run(tiny_data, epochs=9, output=tmp_path / "run", checkpoint_every=100, callbacks=[Calls(stop_after=1)])
    assert RunDirectory(tmp_path / "run").read_state().epochs == 2


@pytest.mark.parametrize("method", ["run_opened", "run_started", "batch_finished", "epoch_finished", "reason_to_stop"])
def test_a_callback_that_fails(method, tiny_data, tmp_path):
    """The run stays, the error names the callback, the others end."""
    watcher = Calls()
    failing = type("Failing", (Callback,), {method: lambda self, *_: {}["node"]})()
    run(tiny_data, epochs=1, output=tmp_path / "run")
    pattern = f"callback Failing failed in {method} \\(KeyError: 'node'\\)"
    with pytest.raises(CallbackError, match=pattern) as caught:
        run(tiny_data, epochs=5, output=tmp_path / "run", resume=True, checkpoint_every=9, callbacks=[watcher, failing])
    assert isinstance(caught.value.__cause__, KeyError)
    finished = 2 if method == "epoch_finished" else 1
    assert RunDirectory(tmp_path / "run").read_state().epochs == finished
    if method not in ("run_opened", "reason_to_stop"):  # which are before the epochs
        assert watcher.calls[-1] == "ended"
        assert f"holds {finished} finished epochs, continue with resume=True (--resume)" in str(caught.value)
    assert_same_run(run(tiny_data, epochs=3, output=tmp_path / "run", resume=True), run(tiny_data, epochs=3))


def test_a_function_that_fails_is_named(tiny_data):
    def writes(row):
        raise RuntimeError

    with pytest.raises(CallbackError, match=r"callback .*writes failed in epoch_finished \(RuntimeError\)"):
        run(tiny_data, epochs=1, callbacks=[writes])


def test_an_end_that_fails(tiny_data):
    """All others end; it is the error, unless the run has another one."""

    class Failing(Callback):
        def run_ended(self):
            raise OSError("no space")

    class Interrupting(Callback):
        def batch_finished(self, epoch, loss):
            os.kill(os.getpid(), signal.SIGINT)

    watcher = Calls()
    with pytest.raises(CallbackError, match="callback Failing failed in run_ended"):
        run(tiny_data, epochs=1, callbacks=[Failing(), watcher])
    assert watcher.calls[-1] == "ended"
    with pytest.raises(KeyboardInterrupt), pytest.warns(BotanFastWarning, match="Failing failed in run_ended"):
        run(tiny_data, epochs=1, callbacks=[Failing(), Interrupting()])


@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        ([Callback], r"callbacks\[0\] is the class Callback; give an object, Callback\(...\)"),
        ([print, 3], r"callbacks\[1\] = 3 is neither a Callback nor a function"),
        (Callback(), "is no list; give a list"),
        ("wandb", "callbacks = 'wandb' is no list"),
    ],
)
def test_what_is_no_callback(callbacks, message, tmp_path):
    with pytest.raises(InputError, match=message):  # before the data are looked for
        bf.train(tmp_path / "missing.npz", callbacks=callbacks)


def test_the_door():
    """`import botan_fast as bf` is enough, and what it loads is not torch."""
    import subprocess

    code = "import sys, botan_fast as bf; bf.callbacks.EarlyStopping('test_loss'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert bf.callbacks.Callback is Callback
