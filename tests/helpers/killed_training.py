"""A run of training that kills itself: `python -m tests.helpers.killed_training DATA OUTPUT WHERE`."""

import os
import signal
import sys
from pathlib import Path

from botan_fast.training.callbacks import Callback
from botan_fast.training.run_directory import RunDirectory
from tests.helpers.runs import run


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


class Killer(Callback):
    """Kills the process in the fourth of six epochs, or while the state of the third is written."""

    def __init__(self, where: str):
        self.where, self.batches = where, 0

    def batch_finished(self, epoch, loss):
        self.batches += 1
        if self.where == "within an epoch" and self.batches == 3 * 4 + 2:
            die()

    def epoch_finished(self, row, model):
        if row["epoch"] != 2:
            return
        if self.where == "between the files":  # the state of epoch 3 is written, last.safetensors is not
            RunDirectory.write_results = die
        if self.where == "within the state":  # its temporary file is written, and has not got its name yet
            replace = os.replace
            os.replace = lambda a, b: die() if "training_state" in str(b) else replace(a, b)


if __name__ == "__main__":
    data, output, where = sys.argv[1:]
    run(Path(data), epochs=6, output=output, callbacks=[Killer(where)])
