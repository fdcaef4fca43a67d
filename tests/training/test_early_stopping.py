"""EarlyStopping: when it ends a run, and that a resumed run ends where it would have ended."""

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import botan_fast as bf
from botan_fast.callbacks import EarlyStopping, OpenedRun
from botan_fast.errors import InputError
from botan_fast.training.run_directory import RunDirectory
from tests.helpers.runs import assert_same_run, run


def ends_after(stop, values):
    """The epoch after which the run ends, None where it does not."""
    stop.run_opened(OpenedRun())
    for epoch, value in enumerate(values):
        stop.epoch_finished({"epoch": epoch, "node_pearson": value, "train_loss": value}, None)
        if stop.reason_to_stop() is not None:
            return epoch
    return None


@pytest.mark.parametrize(
    ("options", "values", "end"),
    [
        ({"patience": 1}, [0.1, 0.2, 0.3, 0.3], 3),
        ({"patience": 2}, [0.1, 0.2, 0.1, 0.3, 0.1, 0.2], 5),
        ({"patience": 2}, [0.1, 0.2, 0.3], None),
        ({"patience": 2, "mode": "min"}, [0.3, 0.2, 0.3, 0.2], 3),
        ({"patience": 2, "min_delta": 0.1}, [0.1, 0.15, 0.2], 2),
        ({"patience": 2, "min_delta": 0.1}, [0.1, 0.15, 0.25, 0.3], None),
        ({"patience": 2, "min_delta": 0.1, "mode": "min"}, [0.5, 0.45, 0.41], 2),
        ({"patience": 3}, [0.5, None, None, None, None, 0.4], 5),  # nothing is decided between two evaluations
        ({"patience": 2}, [math.nan, math.nan, math.nan], 2),
        ({"patience": 2}, [math.nan, 0.1, 0.2, math.nan], None),
        ({"patience": 2}, [0.1, math.nan, math.nan], 2),
    ],
)
def test_when_it_ends(options, values, end):
    assert ends_after(EarlyStopping("node_pearson", **options), values) == end


def test_losses_fall_and_scores_rise():
    assert ends_after(EarlyStopping("train_loss", patience=1), [0.2, 0.1, 0.1]) == 2
    assert ends_after(EarlyStopping("node_pearson", patience=1), [0.1, 0.2, 0.2]) == 2


@given(
    st.lists(st.one_of(st.none(), st.floats(0, 1), st.just(math.nan)), min_size=1, max_size=12),
    st.integers(1, 5),
    st.sampled_from(["min", "max"]),
    st.sampled_from([0.0, 0.1]),
)
def test_resumed_anywhere_it_ends_at_the_same_epoch(values, patience, mode, min_delta):
    values[0] = 0.5 if values[0] is None else values[0]
    options = {"mode": mode, "patience": patience, "min_delta": min_delta}
    whole = EarlyStopping("node_pearson", **options)
    end = ends_after(whole, values)
    rows = [{"epoch": epoch, "node_pearson": value} for epoch, value in enumerate(values)]
    for cut in range(len(values) if end is None else end + 1):
        resumed = EarlyStopping("node_pearson", **options)
        resumed.run_opened(OpenedRun(history=rows[:cut]))
        assert resumed.reason_to_stop() is None
        for row in rows[cut : None if end is None else end + 1]:
            resumed.epoch_finished(row, None)
        assert (resumed.best, resumed.best_epoch) == (whole.best, whole.best_epoch)
        assert resumed.reason_to_stop() == whole.reason_to_stop()


def test_the_definition():
    """Against the sentence of the docstring, for a long series."""
    values = np.random.default_rng(0).random(300).cumsum() / np.arange(1, 301)
    for patience in (1, 3, 10, 40):
        expected = None
        for epoch in range(len(values)):
            best = int(np.argmax(values[: epoch + 1]))
            if epoch - best >= patience:
                expected = epoch
                break
        assert ends_after(EarlyStopping("node_pearson", patience=patience), values.tolist()) == expected


OPTIONS = {"epochs": 30, "learning_rate": 1e-2, "evaluate_every": 1}  # too fast: the test loss soon rises


class TestInARun:
    def stop(self):
        return EarlyStopping("test_loss", patience=2)

    def test_it_ends_the_run_and_says_why(self, tiny_data, tmp_path):
        result = run(tiny_data, **OPTIONS, output=tmp_path / "run", callbacks=[self.stop()])
        losses = [row["test_loss"] for row in result.history]
        best = int(np.argmin(losses))
        assert len(losses) == best + 3 < 30
        assert result.stopped == f"EarlyStopping: no test_loss below {losses[best]:.6g} (epoch {best}) for 2 epochs"
        assert RunDirectory(tmp_path / "run").read_state().stopped == result.stopped
        # The result is the model of the last epoch; the best one has its file.
        whole = run(tiny_data, **OPTIONS | {"epochs": best + 3})
        assert_same_run(result, whole)
        best_model = bf.load_model(tmp_path / "run/best.safetensors")
        assert bf.evaluate(best_model, tiny_data / "test/*.npz")["node_loss"] >= 0

    def test_a_run_that_was_killed_ends_at_the_same_epoch(self, tiny_data, tmp_path):
        whole = run(tiny_data, **OPTIONS, callbacks=[self.stop()])
        begun = run(tiny_data, **OPTIONS | {"epochs": len(whole.history) - 2}, output=tmp_path / "run")
        assert len(begun.history) == len(whole.history) - 2
        resumed = run(tiny_data, **OPTIONS, output=tmp_path / "run", resume=True, callbacks=[self.stop()])
        assert_same_run(resumed, whole)
        assert resumed.stopped == whole.stopped

    def test_a_run_that_has_ended_stays_as_it_is(self, tiny_data, tmp_path):
        first = run(tiny_data, **OPTIONS, output=tmp_path / "run", callbacks=[self.stop()])
        before = (tmp_path / "run/training_state.safetensors").read_bytes()
        again = run(tiny_data, **OPTIONS, output=tmp_path / "run", resume=True, callbacks=[self.stop()])
        assert_same_run(first, again)
        assert again.stopped == first.stopped
        assert (tmp_path / "run/training_state.safetensors").read_bytes() == before

    def test_one_object_for_several_runs(self, tiny_data):
        stop = self.stop()
        first, second = (run(tiny_data, **OPTIONS, callbacks=[stop]) for _ in range(2))
        assert_same_run(first, second)

    def test_with_patience_the_best_model_is_the_result(self, tiny_data):
        options = {**OPTIONS, "callbacks": [EarlyStopping("test_loss", patience=2)]}
        result = run(tiny_data, **options, patience=5)
        losses = [row["test_loss"] for row in result.history]
        assert result.epoch == int(np.argmin(losses)) == len(losses) - 3

    @pytest.mark.parametrize(
        ("monitor", "options", "message"),
        [
            ("node_pearsom", {}, r"has no column monitor = 'node_pearsom'; did you mean 'node_pearson'\?"),
            ("node_pearson", {"p": 0.0}, "monitor = 'node_pearson' has no values in this run; give the test data"),
        ],
    )
    def test_a_column_that_is_not_there(self, monitor, options, message, tiny_data):
        with pytest.raises(InputError, match=message):
            run(tiny_data, epochs=3, callbacks=[EarlyStopping(monitor)], **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "most"}, "mode = 'most'; choose one of 'min', 'max'"),
        ({"patience": 0}, "patience = 0; give a whole number of epochs, at least 1"),
        ({"patience": 2.0}, "patience = 2.0"),
        ({"min_delta": -1}, "min_delta = -1; give a number that is not negative"),
        ({"min_delta": math.nan}, "min_delta = nan"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(InputError, match=message):
        EarlyStopping("test_loss", **options)


def test_a_run_that_is_killed_while_it_decides(tiny_data, tmp_path):
    """kill -9 right after the decision, before it is saved: the same call comes to the same end."""
    code = f"""
import os, signal
from pathlib import Path
from botan_fast.callbacks import EarlyStopping
from tests.helpers.runs import run
class Deadly(EarlyStopping):
    def reason_to_stop(self):
        reason = super().reason_to_stop()
        if reason:
            os.kill(os.getpid(), signal.SIGKILL)
        return reason
run(Path({str(tiny_data)!r}), **{OPTIONS!r}, output={str(tmp_path / "run")!r}, callbacks=[
    Deadly("test_loss", patience=2)])
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    stop = EarlyStopping("test_loss", patience=2)
    resumed = run(tiny_data, **OPTIONS, output=tmp_path / "run", resume=True, callbacks=[stop])
    whole = run(tiny_data, **OPTIONS, callbacks=[EarlyStopping("test_loss", patience=2)])
    assert_same_run(resumed, whole)
    assert resumed.stopped == whole.stopped is not None
