"""Log lines: -v, --log-file, Python's logging in a library, and bars that stay whole."""

import fcntl
import logging
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

import botan_fast as bf
from botan_fast import terminal
from botan_fast.cli import main
from botan_fast.cli.entry import COMMANDS
from botan_fast.log import logger, tell
from tests.helpers.command_line import SMALL, data_arguments, error_line
from tests.helpers.runs import run

LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) (\d+) (DEBUG|INFO|WARNING|ERROR) (botan_fast[\w.]*): (.*)")


def lines_of(file):
    """The lines of a log file as (level, logger, message); what follows a line, such as a traceback, belongs to it."""
    found = []
    for text in Path(file).read_text().splitlines():
        line = LINE.fullmatch(text)
        if line:
            found.append(line.groups()[2:])
        else:
            level, name, message = found.pop()
            found.append((level, name, f"{message}\n{text}"))
    return found


def train(tiny_data, folder, *more):
    return ["train", *data_arguments(tiny_data), "-o", str(folder / "run"), "--epochs", "2", *SMALL, *map(str, more)]


# ---- the file -------------------------------------------------------------------------------------------------------


def test_the_file_tells_what_a_run_did(tiny_data, tmp_path, capfd):
    arguments = train(tiny_data, tmp_path, "--log-file", tmp_path / "log")
    assert main(arguments) == 0
    assert capfd.readouterr().err == ""  # --quiet, and no -v
    lines = lines_of(tmp_path / "log")
    level, name, first = lines[0]
    assert (level, name) == ("INFO", "botan_fast")
    assert first.startswith(f"botan-fast {bf.__version__} on {os.uname().nodename}: botan-fast train --train ")
    assert first.endswith(f" --quiet --log-file {tmp_path / 'log'}")
    text = "\n".join(message for level, _, message in lines if level == "INFO")
    weights = sum(parameter.numel() for parameter in bf.load_model(tmp_path / "run").parameters())
    for expected in (
        "read 4 configurations of 4 files, ",
        "read 2 configurations of 2 files, ",
        "training on cpu: 4 configurations, 2 to test, epochs 0 to 1",
        f", {bf.build_info()['threads']} threads, {bf.build_info()['simd']}",
        f"model of {weights} weights: hidden_size = 32, num_steps = 2, ",
        "fp32, compiled kernels",
        "epoch 0/2  loss ",
        "epoch 1/2  loss ",
    ):
        assert expected in text
    written = [message for level, name, message in lines if level == "DEBUG" and name.endswith("run_directory")]
    assert [Path(message.split()[1].rstrip(",")).name for message in written] == [
        "best.safetensors", "training_state.safetensors", "training_state.safetensors",
    ]  # fmt: skip
    assert lines[-1][2].startswith("ended after ")


def test_each_epoch_is_in_it_once(tiny_data, tmp_path):
    """Progress says epochs too, in other words."""
    arguments = train(tiny_data, tmp_path, "--log-file", tmp_path / "log")
    arguments.remove("--quiet")
    assert main(arguments) == 0
    epochs = [message for _, _, message in lines_of(tmp_path / "log") if message.startswith("epoch ")]
    assert [message.split()[1] for message in epochs] == ["0/2", "1/2"]


def test_it_is_appended_to(tiny_data, tmp_path):
    (tmp_path / "log").write_text("2026-11-26 12:00:00,000 1 INFO botan_fast: before\n")
    for resume in ([], ["--resume"]):
        assert main(train(tiny_data, tmp_path, "--log-file", tmp_path / "log", *resume)) == 0
    messages = [message for _, _, message in lines_of(tmp_path / "log")]
    assert messages[0] == "before"
    assert len([message for message in messages if message.startswith("botan-fast ")]) == 2


def test_warnings_and_what_is_said_are_in_it(tiny_data, tmp_path, capfd):
    one = tiny_data / "train/conf_1.npz"
    arguments = ["train", "--train", one, "--test", one, "-o", tmp_path / "run", "--epochs", 1, *SMALL]
    assert main([*map(str, arguments), "--log-file", str(tmp_path / "log")]) == 0
    [said] = capfd.readouterr().err.splitlines()
    assert said.startswith("botan-fast: warning: ")
    assert ("WARNING", "botan_fast", said) in lines_of(tmp_path / "log")


def test_an_error_has_its_traceback_there_and_one_line_on_the_screen(tmp_path, capsys):
    line = error_line(["evaluate", "--model", "x", "--data", "y", "-vv", "--log-file", tmp_path / "log"], capsys)
    lines = lines_of(tmp_path / "log")
    assert ("ERROR", "botan_fast", line) in lines
    [traceback] = [message for level, _, message in lines if level == "DEBUG" and "Traceback" in message]
    assert "botan_fast.errors.CheckpointError: path = 'x' does not exist" in traceback


def test_an_error_that_nobody_expected(tmp_path, monkeypatch):
    from botan_fast.cli import info

    monkeypatch.setattr(info, "run", lambda arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["info", "--log-file", str(tmp_path / "log")])
    assert "ZeroDivisionError: division by zero" in (tmp_path / "log").read_text()


def test_an_interruption_is_in_it(tiny_data, tmp_path):
    line = ["train", *data_arguments(tiny_data), "-o", tmp_path / "run", "--epochs", "100000", *SMALL]
    command = [sys.executable, "-m", "botan_fast", *map(str, line), "--log-file", tmp_path / "log"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "run/best.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 143
    assert ("WARNING", "botan_fast", error.rstrip("\n")) in lines_of(tmp_path / "log")


@pytest.mark.parametrize("place", ["missing/log", ".", "pipe", "bad\0name", ""])
def test_a_file_that_cannot_be_written_to(place, tmp_path, capsys, monkeypatch):
    """One line, before any work."""
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    line = error_line(["train", "--train", "a.npz", "-o", "run", "--log-file", place], capsys)
    assert re.search(r"--log-file = '.*' cannot be written to \(.*\); name another file", line)
    assert not Path("run").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_a_full_disk_ends_the_log_and_not_the_run(tiny_data, tmp_path, capfd):
    assert main(train(tiny_data, tmp_path, "--log-file", "/dev/full")) == 0
    assert capfd.readouterr().err == "botan-fast: warning: --log-file /dev/full cannot be written to any more\n"


def test_names_that_are_no_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["predict", "--model", b"\xff\n", "--data", "a", "-o", "b", "--log-file", "log"]
    done = subprocess.run([sys.executable, "-m", "botan_fast", *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert lines_of(tmp_path / "log")[-1][2].startswith("ended after ")


# ---- the screen -----------------------------------------------------------------------------------------------------


def test_v_shows_log_lines_without_progress(tiny_data, tmp_path, capfd):
    """--quiet takes progress away, not what -v asks for."""
    assert main(train(tiny_data, tmp_path, "-v")) == 0
    lines = capfd.readouterr().err.splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d \w", line) for line in lines)
    assert [line.split()[2] for line in lines if line.split()[1] == "epoch"] == ["0/2", "1/2"]
    assert not any("saved " in line for line in lines)


def test_vv_shows_more(tiny_data, tmp_path, capfd):
    assert main(train(tiny_data, tmp_path, "-vv")) == 0
    assert " botan_fast.training.run_directory: saved " in capfd.readouterr().err


def test_progress_does_not_say_what_log_lines_say(tiny_data, tmp_path, capfd):
    arguments = train(tiny_data, tmp_path, "-v")
    arguments.remove("--quiet")
    assert main(arguments) == 0
    text = capfd.readouterr().err
    assert text.count("epoch 1/2") == text.count("training on cpu") == 1


def test_nothing_is_left_behind(tiny_data, tmp_path, capfd):
    main(train(tiny_data, tmp_path, "-v", "--log-file", tmp_path / "log"))
    capfd.readouterr()
    size = (tmp_path / "log").stat().st_size
    run(tiny_data, epochs=1)
    assert capfd.readouterr().err == ""
    assert (tmp_path / "log").stat().st_size == size
    assert not terminal.listeners
    assert not terminal.log_lines_shown()


def shown(text):
    """What a terminal shows of these characters: "\\r" goes to the beginning, "\\x1b[A" one line up."""
    rows, row, column = [[]], 0, 0
    for part in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|.", text, flags=re.DOTALL):
        if part == "\r":
            column = 0
        elif part == "\n":
            row += 1
            if row == len(rows):
                rows.append([])
        elif part == "\x1b[A":
            row -= 1
        elif len(part) == 1:
            rows[row] += [" "] * (column + 1 - len(rows[row]))
            rows[row][column] = part
            column += 1
    return ["".join(row).rstrip() for row in rows]


def test_log_lines_stand_above_the_bar(tiny_data, tmp_path):
    """In a terminal: every line is whole, and the bar is the last of them."""
    arguments = [*train(tiny_data, tmp_path, "-v"), "--evaluate-every", "1"]
    arguments.remove("--quiet")
    master, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))  # lines, columns
    command = [sys.executable, "-m", "botan_fast", *arguments]
    process = subprocess.Popen(command, stderr=end, stdout=subprocess.DEVNULL)
    os.close(end)
    parts = []
    try:
        while part := os.read(master, 65536):
            parts.append(part)
    except OSError:  # how the end of a terminal reads on Linux
        pass
    assert process.wait(60) == 0
    text = b"".join(parts).decode()
    assert "training:   0%" in text  # there was a bar
    rows = [row for row in shown(text) if row]
    bars = [row for row in rows if "training:" in row]
    assert bars == rows[-1:]
    assert "8/8" in bars[0]
    assert all(re.match(r"\d\d:\d\d:\d\d [\w<]", row) for row in rows[:-1]), rows
    epochs = [row for row in rows if re.match(r"\d\d:\d\d:\d\d epoch ", row)]
    assert all(re.fullmatch(r"\S+ epoch \d/2  loss .* gradient [0-9.e-]+", row) for row in epochs)
    assert len(epochs) == 2


# ---- every command, and the library ---------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [command.NAME for command in COMMANDS])
def test_every_command_has_the_options(command, capsys):
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert "-v, --verbose" in text
    assert "--log-file FILE" in text


def test_other_commands_log_too(tiny_data, tmp_path, capfd):
    main(train(tiny_data, tmp_path))
    data = str(tiny_data / "test/*.npz")
    for arguments, expected in (
        (["convert", data, "-o", tmp_path / "a.h5"], f"wrote {tmp_path / 'a.h5'} from 2 files, "),
        (["evaluate", "--model", tmp_path / "run", "--data", data], "scored 2 configurations: node_pearson "),
        (["predict", "--model", tmp_path / "run", "--data", data, "-o", tmp_path / "out"], "read a BOTAN of "),
    ):
        capfd.readouterr()
        assert main([*map(str, arguments), "-v", "--quiet"]) == 0
        assert expected in capfd.readouterr().err


def test_a_library_is_silent_until_somebody_listens(tiny_data, caplog):
    code = "import botan_fast.log, logging; logging.getLogger('botan_fast.a').error('loud')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    with caplog.at_level(logging.INFO, logger="botan_fast"):
        run(tiny_data, epochs=1)
    names = {record.name for record in caplog.records}
    assert {"botan_fast.data.loading", "botan_fast.training.epochs"} <= names
    assert all(record.levelno == logging.INFO for record in caplog.records)


def test_tell(capfd, caplog):
    with caplog.at_level(logging.INFO, logger="botan_fast"):
        tell(logger("botan_fast.a"), "100 % of it", show=True)
        tell(logger("botan_fast.a"), "not seen", show=False)
    assert capfd.readouterr().err == "100 % of it\n"
    assert caplog.messages == ["100 % of it", "not seen"]


def test_logging_is_loaded_only_when_it_is_asked_for():
    code = (
        "import sys; from botan_fast.cli import main; main(['--help']); main(['train', '--help']); "
        "sys.exit('logging' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_log_changes_no_bit(tiny_data, tmp_path):
    main(train(tiny_data, tmp_path, "-vv", "--log-file", tmp_path / "log"))
    shutil.move(tmp_path / "run", tmp_path / "logged")
    main(train(tiny_data, tmp_path))
    files = [(tmp_path / name / "last.safetensors").read_bytes() for name in ("run", "logged")]
    assert files[0] == files[1]
