"""A simulation that kills itself: `python -m tests.helpers.killed_simulation OUTPUT METHOD OPTIONS`.

It dies after the third call of METHOD of `WorkFolder`, the moment when something has just been saved.
"""

import json
import os
import signal
import sys

from botan_fast.simulation.ensemble import simulate
from botan_fast.simulation.work_folder import WorkFolder


def die_after(method: str, times: int):
    original, calls = getattr(WorkFolder, method), []

    def dying(*arguments):
        original(*arguments)
        calls.append(arguments)
        if len(calls) == times:
            os.kill(os.getpid(), signal.SIGKILL)

    setattr(WorkFolder, method, dying)


if __name__ == "__main__":
    output, method, options = sys.argv[1:]
    die_after(method, times=3)
    simulate(output, **json.loads(options))
