"""Ctrl-C, SIGTERM and SIGHUP at any moment: status 130, 143 or 129, one line, what is finished saved."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from botan_fast.training.run_directory import RunDirectory
from tests.helpers.command_line import SMALL, data_arguments


def start(*arguments):
    command = [sys.executable, "-m", "botan_fast", *map(str, arguments)]
    # What runs the tests may ignore the end of a terminal (nohup), and the command would then, too.
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=lambda: _unignore(signal.SIGHUP)
    )


def _unignore(number):
    signal.signal(number, signal.SIG_DFL)


def test_what_the_caller_ignores_stays_ignored():
    code = "import signal; from botan_fast import interruption; interruption.install(); print(signal.getsignal(1) == 1)"
    done = subprocess.run(
        ["nohup", sys.executable, "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert done.stdout == "True\n"


def one_line(process, number):
    try:
        out, error = process.communicate(timeout=60)
    finally:
        process.kill()  # one that goes on would go on for ever
    assert process.returncode == 128 + number, error
    assert out == ""
    assert error.startswith("botan-fast: interrupted")
    assert len(error.splitlines()) == 1, error
    return error


def wait_for_handlers(process):
    """Until the process has its own handler of SIGTERM: on a busy machine Python itself takes a second to start."""
    status = Path(f"/proc/{process.pid}/status")
    if not status.exists():
        pytest.skip("without /proc nothing tells when the command begins")
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        caught = next(line for line in status.read_text().splitlines() if line.startswith("SigCgt"))
        if int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.001)


# Delays within the imports of the command.
@pytest.mark.parametrize("delay", [0, 0.1, 0.3, 0.6])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_while_modules_load(number, delay, tiny_data, tmp_path):
    process = start("train", *data_arguments(tiny_data), "-o", tmp_path / "run", "--epochs", "100000", *SMALL)
    wait_for_handlers(process)
    time.sleep(delay)
    process.send_signal(number)
    one_line(process, number)


def test_before_anything_of_the_command_is_loaded(tmp_path):
    """The handlers are there before argparse is."""
    code = (
        "import sys, os, signal\n"
        "class Find:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'botan_fast.cli.entry':\n"
        "            os.kill(os.getpid(), signal.SIGTERM)\n"
        "sys.meta_path.insert(0, Find())\n"
        "from botan_fast.__main__ import start\n"
        "sys.exit(start())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (143, "", "botan-fast: interrupted\n")


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_in_training_the_last_epoch_is_saved(number, times, tiny_data, tmp_path):
    line = ["train", *data_arguments(tiny_data), "-o", tmp_path / "run", "--epochs", "100000", *SMALL]
    process = start(*line, "--checkpoint-every", "1000000")
    deadline = time.monotonic() + 60
    while not (tmp_path / "run/best.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    for _ in range(times):
        process.send_signal(number)
        time.sleep(0.003)
    error = one_line(process, number)
    run = RunDirectory(tmp_path / "run")
    epochs = run.read_state().epochs
    assert f"'{tmp_path / 'run'}' holds {epochs} finished epochs; continue with: botan-fast train " in error
    assert error.endswith(" --resume\n")
    assert len(run.history_file.read_text().splitlines()) == 1 + epochs
    assert [file.name for file in run.path.iterdir() if file.name.startswith(".")] == []


def test_a_closed_pipe_is_no_error_message():
    process = start("info")
    process.stdout.close()
    error = process.stderr.read()
    assert process.wait(60) in (0, 141)  # 0: all was written before the end closed
    assert error == ""


def closed(redirection, *arguments):
    command = f'exec "{sys.executable}" -m botan_fast "$@" {redirection}'
    return subprocess.run(["sh", "-c", command, "sh", *arguments], capture_output=True, text=True, timeout=60)


def test_closed_streams(tiny_data, tmp_path):
    data = str(tiny_data / "train/conf_1.npz")
    done = closed("2>&-", "convert", data, "-o", str(tmp_path / "a.h5"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(str(tmp_path / "a.h5"))
    done = closed("2>&-", "convert", "missing.npz", "-o", str(tmp_path / "b.h5"))
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")
    done = closed("<&- >&- 2>&-", "convert", data, "-o", str(tmp_path / "c.h5"))
    assert done.returncode == 0
    assert (tmp_path / "c.h5").read_bytes()[:8] == b"\x89HDF\r\n\x1a\n"
    if os.path.exists("/dev/full"):
        done = closed(">/dev/full", "info")
        assert done.returncode == 2
        assert "standard output" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_letters_that_the_locale_does_not_have(tiny_data, tmp_path):
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    (tmp_path / "σ_é.npz").write_bytes((tiny_data / "train/conf_1.npz").read_bytes())

    def run(*arguments):
        command = [sys.executable, "-m", "botan_fast", *map(str, arguments)]
        return subprocess.run(command, env=os.environ | locale, capture_output=True, timeout=60, cwd=tmp_path)

    done = run("convert", "σ_é.npz", "-o", "ü.h5")
    assert (done.returncode, done.stderr) == (0, b"")
    assert "ü.h5" in done.stdout.decode()
    done = run("train", "--train", "ü.h5", "-o", "rün", "--epochs", "1", *SMALL)
    assert (done.returncode, done.stderr) == (0, b"")
    done = run("predict", "--model", "rün", "--data", "ü.h5", "-o", "out", "--quiet")
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "out/σ_é.npz").exists()
    done = run("convert", "σ_é.npz", "-o", "ü.h5")
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
