"""A task that takes milliseconds: `python fake_task.py NAME PLACE SECONDS FAILS`, without the package, quick to start.

The record is the folder `record` of the sweep, to whose files every line is one write with O_APPEND:

    ends     the name of a task, at its very end
    events   "start NAME PID", and what must never happen: "repeated NAME", begun although it is recorded as done
    seats    CUDA_VISIBLE_DEVICES, OMP_NUM_THREADS, and the cores of each start

A task that has written its name and is started again ends at once, as a training that is finished does.
"""

import os
import signal
import sys
import time


def append(record, name, line):
    descriptor = os.open(os.path.join(record, name), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


def main(name, place, seconds, fails):
    parent = int(os.environ["BOTAN_FAST_PARENT"])
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(143))
    record = os.path.join(place, "../../record")
    if os.path.exists(os.path.join(place, "done.json")):
        append(record, "events", f"repeated {name}")
    append(record, "events", f"start {name} {os.getpid()}")
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    append(record, "seats", f"{os.environ.get('CUDA_VISIBLE_DEVICES')} {os.environ.get('OMP_NUM_THREADS')} {cores}")
    ends = os.path.join(record, "ends")
    if os.path.exists(ends):
        with open(ends) as file:
            if name in file.read().split("\n"):
                return 0
    if fails and not os.path.exists(os.path.join(record, "repaired")):
        if fails == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        print("working")
        print(f"botan-fast: error: {fails}", file=sys.stderr)
        return 2
    for _ in range(int(float(seconds) / 0.005)):  # of work: time in which it is suspended does not count
        if stop or os.getppid() != parent:
            return 143
        time.sleep(0.005)
    append(record, "ends", name)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
