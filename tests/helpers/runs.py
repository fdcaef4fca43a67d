"""Runs of training that take a second, and what makes two of them the same."""

import os
import signal

import torch

import botan_fast as bf
from botan_fast.training.callbacks import Callback
from botan_fast.training.run_directory import RunDirectory
from tests.helpers.tiny_data import TINY

FAST = {**TINY, "learning_rate": 1e-3, "progress": False, "evaluate_every": 2}


def run(tiny_data, **options):
    return bf.train(tiny_data / "train/*.npz", tiny_data / "test/*.npz", **{**FAST, **options})


def assert_same_run(a, b):
    """Bitwise, apart from the time it took."""
    weights = a.model.state_dict(), b.model.state_dict()
    assert list(weights[0]) == list(weights[1])
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    without_time = [[{**row, "seconds": None} for row in result.history] for result in (a, b)]
    assert without_time[0] == without_time[1]


def assert_same_files(a, b):
    a, b = RunDirectory(a), RunDirectory(b)
    for name in ("last_file", "best_file"):
        assert getattr(a, name).read_bytes() == getattr(b, name).read_bytes()
    states = a.read_state(), b.read_state()
    for part in ("weights", "optimizer"):
        tensors = [getattr(state, part) for state in states]
        assert sorted(tensors[0]) == sorted(tensors[1])
        assert all(torch.equal(tensors[0][name], tensors[1][name]) for name in tensors[0])
    assert states[0].best_loss == states[1].best_loss
    assert not [file for file in a.path.iterdir() if file.name.startswith(".")]


class Stop(Callback):
    """Ctrl-C in the middle of an epoch."""

    def __init__(self, epoch):
        self.epoch, self.ended = epoch, False

    def batch_finished(self, epoch, loss):
        if epoch == self.epoch:
            os.kill(os.getpid(), signal.SIGINT)

    def run_ended(self):
        self.ended = True
