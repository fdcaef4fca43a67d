"""Signals: at once where nothing has to be tidied up, else in order; what is being saved is saved whole."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from botan_fast.interruption import deferred


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def test_a_signal_waits_for_the_end_of_the_block():
    done = []
    with pytest.raises(KeyboardInterrupt), deferred():  # noqa: PT012 (the end of the block raises)
        interrupt()
        interrupt()
        done.append("first")
        done.append("second")
    assert done == ["first", "second"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_blocks_inside_of_one_another():
    done = []
    with pytest.raises(KeyboardInterrupt), deferred():  # noqa: PT012
        with deferred():
            interrupt()
        done.append("after the inner one")
    assert done == ["after the inner one"]


def test_in_another_thread_it_does_nothing():
    errors = []

    def work():
        try:
            with deferred():
                pass
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert errors == []


def ended(code, *signals):
    """The status and standard error of a process with the command's handlers that gets signals after "ready"."""
    code = "from botan_fast.interruption import *\nimport time\ninstall()\n" + textwrap.dedent(code)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    for number in signals:
        process.send_signal(number)
        time.sleep(0.05)
    out, error = process.communicate(timeout=30)
    return process.returncode, out, error


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 138)])
def test_without_anything_to_tidy_up_the_process_ends_at_once(number, status):
    code = """
    class Stubborn:
        def __del__(self):
            print("ready", flush=True)
            time.sleep(20)  # an exception in here would be dropped, with a traceback
    Stubborn()
    time.sleep(20)
    """
    assert ended(code, number) == (status, "", "botan-fast: interrupted\n")


def test_what_is_open_tidies_up_however_often_it_is_asked():
    code = """
    import sys
    try:
        with orderly():
            try:
                print("ready", flush=True)
                time.sleep(20)
            finally:
                time.sleep(0.3)
                print("tidy", flush=True)
    except KeyboardInterrupt:
        sys.exit(status())
    """
    assert ended(code, signal.SIGTERM, signal.SIGTERM, signal.SIGINT) == (143, "tidy\n", "")


def test_an_interruption_that_python_drops_comes_again():
    code = """
    import sys
    class Stubborn:
        def __del__(self):
            print("ready", flush=True)
            time.sleep(20)
    try:
        with orderly():
            Stubborn()
            time.sleep(20)
    except KeyboardInterrupt:
        sys.exit(status())
    """
    assert ended(code, signal.SIGINT) == (130, "", "")


def test_what_the_caller_ignores_stays_ignored():
    code = """
    import signal
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    install()
    print("ready", flush=True)
    time.sleep(0.3)
    """
    # install() ran before: only a process that starts so keeps it, as a shell starts it in the background.
    code = f"import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n{textwrap.dedent(code)}"
    assert ended(code, signal.SIGINT) == (0, "", "")


def test_a_second_signal_while_the_first_is_answered_is_still_one_line():
    code = """
        import os, signal
        write, asked = os.write, []
        def write_and_ask(*arguments):
            write(*arguments)
            if not asked:
                asked.append(1)
                os.kill(os.getpid(), signal.SIGTERM)
        os.write = write_and_ask
        print("ready", flush=True)
        time.sleep(60)
    """
    assert ended(code, signal.SIGINT) == (130, "", "botan-fast: interrupted\n")


def test_a_second_signal_between_the_tidying_up_and_the_last_line():
    code = """
    import os, signal, sys
    try:
        with orderly():
            print("ready", flush=True)
            time.sleep(20)
    except KeyboardInterrupt:
        os.kill(os.getpid(), signal.SIGTERM)
        print("kept", flush=True)
        sys.exit(status())
    """
    assert ended(code, signal.SIGINT) == (130, "kept\n", "")


@pytest.mark.parametrize("moment", ["interrupted", "say"])
def test_a_second_signal_while_the_command_says_what_is_kept(moment):
    code = f"""
    import os, signal, sys
    from botan_fast.cli import entry
    def run(arguments):
        with orderly():
            print("ready", flush=True)
            time.sleep(20)
    def ask():
        os.kill(os.getpid(), signal.SIGTERM)
    def interrupted(*_):
        {"ask()" if moment == "interrupted" else "pass"}
        return "; all is kept"
    say = entry.say
    def say_and_ask(*arguments):
        say(*arguments)
        ask()
    if "{moment}" == "say":
        entry.say = say_and_ask
    entry.info.run, entry.info.interrupted = run, interrupted
    sys.argv = ["botan-fast", "info"]
    sys.exit(entry.main())
    """
    assert ended(code, signal.SIGINT) == (130, "", "botan-fast: interrupted; all is kept\n")


def test_what_is_finished_stays_finished_inside_of_deferred():
    code = """
    import os, signal
    with deferred():
        finish()
        os.kill(os.getpid(), signal.SIGINT)
    print("ready", flush=True)
    """
    assert ended(code) == (0, "", "")
