"""A command whose worker is gone, in whatever way, saves and ends by itself."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from botan_fast.interruption import PARENT

CHILD = """
import sys, time
from botan_fast.interruption import has_worker, install, orderly, status
install()
try:
    with orderly():
        print("ready", has_worker(), flush=True)
        time.sleep(60)
        print("nobody ended this", flush=True)
except KeyboardInterrupt:
    print("saved", status(), flush=True)
    sys.exit(status())
"""
# Starts the child, as its worker would, and waits for it.
WORKER = """
import os, subprocess, sys
environment = {**os.environ, "BOTAN_FAST_PARENT": str(os.getpid())}
sys.exit(subprocess.run([sys.executable, "-c", sys.argv[1]], env=environment).returncode)
"""


def start(code, *arguments, **environment):
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    return subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_child_of_a_worker_that_was_killed_ends(number):
    worker = start(WORKER, CHILD)
    assert worker.stdout.readline() == "ready True\n"
    worker.send_signal(number)
    out, error = worker.communicate(timeout=50)  # the child has the same pipes: they end when it has ended
    assert worker.returncode == -number
    assert (out, error) == ("saved 143\n", "")


def test_the_child_is_not_disturbed_while_the_worker_lives():
    child = CHILD.replace("time.sleep(60)", "time.sleep(2.5)")
    worker = start(WORKER, child)
    out, error = worker.communicate(timeout=50)
    assert (worker.returncode, out, error) == (0, "ready True\nnobody ended this\n", "")


def test_a_worker_that_was_killed_before_the_child_began():
    child = start(CHILD, BOTAN_FAST_PARENT="999999999")  # more than any system gives
    out, error = child.communicate(timeout=50)
    assert child.returncode == 143
    # At once where nothing is to be tidied up, else in order; which of the two, the first look of the thread decides.
    assert error == "botan-fast: interrupted\n" if "saved" not in out else out.endswith("saved 143\n") and not error


def test_the_child_ends_at_once_where_nothing_is_to_be_tidied_up():
    code = "from botan_fast.interruption import *\nimport time\ninstall()\ntime.sleep(60)"
    child = start(code, BOTAN_FAST_PARENT="1")
    out, error = child.communicate(timeout=50)
    assert (child.returncode, out, error) == (143, "", "botan-fast: interrupted\n")


def test_a_child_that_fell_asleep_as_the_signal_came_is_told_again():
    code = """
    import signal, time
    from botan_fast.interruption import install
    kill, told = signal.pthread_kill, []
    def lost_at_first(*which):
        told.append(which)
        if len(told) > 1:
            kill(*which)
    signal.pthread_kill = lost_at_first
    install()
    time.sleep(60)
    """
    child = start(code, BOTAN_FAST_PARENT="1")
    out, error = child.communicate(timeout=50)
    assert (child.returncode, out, error) == (143, "", "botan-fast: interrupted\n")


def test_what_the_child_starts_is_its_own():
    code = f"import os\nfrom botan_fast.interruption import *\ninstall()\nprint({PARENT!r} in os.environ, has_worker())"
    child = start(code, BOTAN_FAST_PARENT=str(os.getpid()))
    assert child.communicate(timeout=50) == ("False True\n", "")
    child = start(code)
    assert child.communicate(timeout=50) == ("False False\n", "")


@pytest.mark.parametrize("value", ["", "worker", "-1", "²"])
def test_no_process_id(value):
    child = start("from botan_fast.interruption import install\ninstall()\nprint('on')", BOTAN_FAST_PARENT=value)
    out, error = child.communicate(timeout=50)
    assert (child.returncode, out) == (2, "")
    assert error.startswith(f"botan-fast: error: {PARENT} = ")
    assert len(error.splitlines()) == 1


def test_the_signal_for_a_worker_does_not_end_its_child():
    """SIGUSR2 is what submitit's jobs get before their time is up, on some clusters with all they started."""
    code = """
    import os, signal
    from botan_fast.interruption import install
    install()
    os.kill(os.getpid(), signal.SIGUSR2)
    print("on")
    """
    child = start(code, BOTAN_FAST_PARENT=str(os.getpid()))
    assert child.communicate(timeout=50) == ("on\n", "")


def test_a_command_imports_nothing_for_it():
    code = "import sys\nfrom botan_fast.interruption import install\ninstall()\nprint('threading' in sys.modules)"
    child = start(code, BOTAN_FAST_PARENT=str(os.getpid()))
    assert child.communicate(timeout=50) == ("False\n", "")
