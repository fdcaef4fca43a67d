"""Where the numbers of a run go besides history.csv: TensorBoard, read back, and a stand-in for wandb."""

import importlib.util
import json
import sys
import types

import pytest

import botan_fast as bf
from botan_fast.callbacks import Callback, TensorBoard, WandB
from botan_fast.cli import main
from botan_fast.errors import InputError
from botan_fast.training.loggers import as_loggers
from tests.helpers.runs import Stop, assert_same_run, run

# ---- TensorBoard ----------------------------------------------------------------------------------------------------


def scalars(folder):
    """The scalars of a folder as TensorBoard shows them: {name: [(step, value), ...]}."""
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = reader.EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_tensorboard_has_the_history(tiny_data, tmp_path):
    pytest.importorskip("tensorboard")
    result = run(tiny_data, epochs=3, output=tmp_path / "run", logger="tensorboard")
    found = scalars(tmp_path / "run/tensorboard")
    columns = {name for row in result.history for name, value in row.items() if value is not None} - {"epoch"}
    assert found.keys() == columns
    for name in columns:
        expected = [(row["epoch"], row[name]) for row in result.history if row[name] is not None]
        assert [step for step, _ in found[name]] == [step for step, _ in expected]
        assert [value for _, value in found[name]] == pytest.approx([value for _, value in expected], rel=1e-6)


def test_tensorboard_after_an_interruption(tiny_data, tmp_path):
    """Epochs that were not saved come again, and are there once."""
    pytest.importorskip("tensorboard")
    run(tiny_data, epochs=2, output=tmp_path / "run", logger="tensorboard")
    options = {"resume": True, "output": tmp_path / "run", "logger": ["tensorboard"]}
    with pytest.raises(KeyboardInterrupt):
        run(tiny_data, epochs=9, callbacks=[Stop(4)], **options)
    result = run(tiny_data, epochs=6, **options)
    losses = scalars(tmp_path / "run/tensorboard")["train_loss"]
    assert [step for step, _ in losses] == [0, 1, 2, 3, 4, 5]
    assert [value for _, value in losses] == pytest.approx([row["train_loss"] for row in result.history], rel=1e-6)


def test_nothing_of_it_without_being_asked(tiny_data, tmp_path):
    run(tiny_data, epochs=1, output=tmp_path / "run")
    assert not (tmp_path / "run/tensorboard").exists()


# ---- wandb ----------------------------------------------------------------------------------------------------------


class Recorder(types.ModuleType):
    """A stand-in for the package wandb that keeps what it is told."""

    def __init__(self):
        super().__init__("wandb")
        self.calls = []

    def Settings(self, **options):
        return options

    def init(self, **options):
        self.calls.append(("init", options))
        return self

    def log(self, numbers, step):
        self.calls.append(("log", step, numbers))

    def finish(self, exit_code):
        self.calls.append(("finish", exit_code))


@pytest.fixture
def wandb(monkeypatch):
    module = Recorder()
    monkeypatch.setitem(sys.modules, "wandb", module)
    for name in ("WANDB_PROJECT", "WANDB_NAME"):
        monkeypatch.delenv(name, raising=False)
    return module


def test_wandb_is_told_everything(wandb, tiny_data, tmp_path):
    result = run(tiny_data, epochs=2, output=tmp_path / "glass/run-1", logger="wandb")
    (begin, options), *logs, end = wandb.calls
    assert begin == "init"
    assert (options["project"], options["name"], options["dir"]) == ("glass", "run-1", str(tmp_path / "glass/run-1"))
    assert options["resume"] == "allow"
    assert options["settings"] == {"console": "off", "quiet": True}  # progress=False
    assert options["id"] == (tmp_path / "glass/run-1/wandb_id.txt").read_text().strip() != ""
    settings = json.loads((tmp_path / "glass/run-1/config.json").read_text())["settings"]
    assert {name: options["config"][name] for name in settings} == settings
    assert options["config"]["model"]["hidden_size"] == result.model.config["hidden_size"]
    expected = [{name: v for name, v in row.items() if v is not None and name != "epoch"} for row in result.history]
    assert logs == [("log", epoch, numbers) for epoch, numbers in enumerate(expected)]
    assert end == ("finish", 0)


def test_a_resumed_run_is_the_same_one_there(wandb, tiny_data, tmp_path):
    options = {"resume": True, "output": tmp_path / "run", "logger": "wandb"}
    with pytest.raises(KeyboardInterrupt):
        run(tiny_data, epochs=9, callbacks=[Stop(2)], **options)
    assert wandb.calls[-1] == ("finish", 1)
    run(tiny_data, epochs=4, **options)
    ids = [call[1]["id"] for call in wandb.calls if call[0] == "init"]
    assert len(ids) == 2
    assert ids[0] == ids[1]
    assert [call[1] for call in wandb.calls if call[0] == "log"] == [0, 1, 2, 3]
    assert wandb.calls[-1] == ("finish", 0)


def test_two_runs_are_two_there(wandb, tiny_data, tmp_path):
    for name in ("a", "b"):
        run(tiny_data, epochs=1, output=tmp_path / name, logger=WandB())
    assert len({call[1]["id"] for call in wandb.calls if call[0] == "init"}) == 2


def test_names_of_a_sweep_and_of_ones_own(wandb, tiny_data, tmp_path, monkeypatch):
    run(tiny_data, epochs=1, output=tmp_path / "p=0.4 #1/runs/a-seed0", logger="wandb")
    run(tiny_data, epochs=1, output=tmp_path / "b", logger=WandB(project="glass", tags=["paper"]))
    monkeypatch.setenv("WANDB_PROJECT", "from the environment")
    run(tiny_data, epochs=1, output=tmp_path / "c", logger="wandb")
    run(tiny_data, epochs=1, logger="wandb")
    first, second, third, last = (call[1] for call in wandb.calls if call[0] == "init")
    assert (first["project"], first["name"]) == ("p=0.4 _1", "a-seed0")
    assert (second["project"], second["name"], second["tags"]) == ("glass", "b", ["paper"])
    assert third["project"] == "from the environment"
    assert not {"id", "name", "project", "dir"} & last.keys()  # without a folder they are its own


def test_an_id_that_is_none(wandb, tiny_data, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/wandb_id.txt").write_text("../other run")
    with pytest.raises(InputError, match=r"wandb_id.txt does not hold the id of a run of wandb; remove it"):
        run(tiny_data, epochs=1, output=tmp_path / "run", logger="wandb")


def test_wandb_that_cannot_begin(wandb, tiny_data, tmp_path, monkeypatch):
    def init(**_):
        raise RuntimeError("api_key not configured (no-tty). call wandb.login(key=[your_api_key])")

    monkeypatch.setattr(wandb, "init", init)
    with pytest.raises(InputError, match=r"cannot begin \(api_key not configured.*WANDB_MODE=offline"):
        run(tiny_data, epochs=1, output=tmp_path / "run", logger="wandb")


# ---- which ----------------------------------------------------------------------------------------------------------


def test_loggers_change_nothing(wandb, tiny_data, tmp_path):
    watched = run(tiny_data, epochs=2, output=tmp_path / "run", logger=["tensorboard", "wandb", Callback()])
    assert_same_run(watched, run(tiny_data, epochs=2))


def test_one_of_each():
    pytest.importorskip("tensorboard")
    own = TensorBoard("curves")
    assert as_loggers(["tensorboard", "tensorboard"], "run")[0].folder is None
    assert len(as_loggers(["tensorboard", "tensorboard"], "run")) == 1
    assert as_loggers([own, "tensorboard"], "run") == [own]


@pytest.mark.parametrize(
    ("logger", "message"),
    [
        ("tensorbord", "logger = 'tensorbord'; choose of tensorboard, wandb, or give a Callback; did you mean"),
        (["wandb", 3], "logger = 3; choose of"),
        (3, "logger = 3; choose of .* or a list"),
        ("tensorboard", "logger = 'tensorboard' needs output, the folder of the run"),
    ],
)
def test_wrong_ones(wandb, logger, message, tmp_path):
    pytest.importorskip("tensorboard")
    with pytest.raises(InputError, match=message):  # before the data are looked for
        bf.train(tmp_path / "missing.npz", logger=logger)


@pytest.mark.parametrize("package", ["tensorboard", "wandb"])
def test_without_the_package(package, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, package, raising=False)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else find(name))
    with pytest.raises(InputError, match=rf"needs the package {package}, .*pip install 'botan_fast\[{package}\]'"):
        bf.train(tmp_path / "missing.npz", output=tmp_path / "run", logger=package)
    assert not (tmp_path / "run").exists()


def test_a_run_is_repeated_with_its_loggers_by_name(tiny_data, tmp_path):
    """run.toml has the names; objects, which no file holds, it names in a comment, and asks for none of them."""
    pytest.importorskip("tensorboard")
    run(tiny_data, epochs=1, output=tmp_path / "a", logger=["tensorboard", TensorBoard(tmp_path / "curves")])
    run(tiny_data, epochs=1, output=tmp_path / "b", logger=Callback())
    texts = [(tmp_path / name / "run.toml").read_text() for name in "ab"]
    assert '"tensorboard"' in texts[0]
    assert "logger" not in texts[1]
    assert "callbacks (TensorBoard)" in texts[0]
    assert "callbacks (Callback)" in texts[1]
    assert not any("objects" in text for text in texts)
    assert main(["train", "--config", str(tmp_path / "a/run.toml"), "-o", str(tmp_path / "again"), "--quiet"]) == 0
    assert (tmp_path / "again/tensorboard").is_dir()
    assert (tmp_path / "again/last.safetensors").read_bytes() == (tmp_path / "a/last.safetensors").read_bytes()
