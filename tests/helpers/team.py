"""Runs that several processes train together. `start` starts such processes; each is this module as a script."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

import botan_fast as bf
from botan_fast.data import making
from botan_fast.data.times import join_times
from botan_fast.errors import BotanFastError, DataError
from botan_fast.training import connection, shared_steps, testing
from botan_fast.training.callbacks import Callback
from tests.helpers.structured import INPUTS, several, structured
from tests.helpers.tiny_data import TINY

ROOT = Path(__file__).parents[2]
LIMIT = 180  # seconds after which processes that hang are killed
SIZES = (80, 96, 88, 104, 80, 88, 112)  # of the graphs to train on: an odd number of them, all but two different
COMMON = {**TINY, "learning_rate": 1e-3, "progress": False, "epochs": 3, "batch_size": 2, "evaluate_every": 2}
TIMES = (1.3, 13.0)


class TwoEpochs(Callback):
    """Ends a run after two epochs; of several processes one alone has callbacks."""

    epochs = 0

    def epoch_finished(self, row, model):
        self.epochs += 1

    def reason_to_stop(self):
        return "enough" if self.epochs == 2 else None


def plain():
    samples = [sample for seed, number in enumerate(SIZES) for sample in structured(seed, number=number)]
    return samples, several((20, 21, 22))


def at_times():
    """Configurations of which some lack one of the two times."""
    held = [TIMES, TIMES[:1], TIMES, TIMES[1:], TIMES]
    parts = [sample for seed, times in enumerate(held) for sample in structured(seed, times, number=SIZES[seed])]
    return join_times(parts, TIMES), join_times(several((20, 21, 22), times=TIMES), TIMES)


def lattices():
    """Configurations whose inherent structure is found soon: particles near the sites of a cubic lattice."""
    grid = np.stack(np.meshgrid(*[np.arange(5)] * 3, indexing="ij"), -1).reshape(-1, 3) * 1.05
    samples = []
    for k in range(7):
        rng = np.random.default_rng(k)
        x = grid + 0.02 * rng.standard_normal(grid.shape)
        graph = bf.build_graph(x, np.arange(len(x)) % 5 // 4, [5.25] * 3)
        targets = bf.isoconfigurational_targets(x, x + 0.1 * rng.standard_normal((4, *x.shape)), graph)
        samples.append(bf.Sample(graph, targets, f"conf_{k if k < 4 else 16 + k}", torch.from_numpy(x)))
    return samples[:4], samples[4:]


RUNS = {
    "plain": (plain, {}),
    "only edges": (plain, {"p": 0.0, "weight_decay": 0.05}),
    "only nodes": (plain, {"p": 1.0}),
    "nodes beside an edge decoder": (plain, {"p": 1.0, "decoders": "separate", "weight_decay": 0.05}),
    "species": (plain, {"species_weights": (1.0, 3.0), "ema": 0.9, "weight_decay": 0.05}),
    "validation": (plain, {"validation": 2, "patience": 1, "learning_rate": 0.02, "epochs": 12, "evaluate_every": 1}),
    "scaled": (
        plain,
        {**INPUTS, "target_scaling": True, "input_noise": 0.2, "augmentation": "o3", "schedule": "cosine", "ema": 0.9},
    ),
    "times": (at_times, {"target_scaling": True, "augmentation": "o3"}),
    "bf16": (plain, {"precision": "bf16", "save_memory": True}),
    "minima": (lattices, {"node_inputs": ("type", "energy"), "edge_inputs": ("vector", "inherent")}),
    "stopped": (plain, {"callbacks": TwoEpochs}),
}


def train(name, **options):
    make, own = RUNS[name]
    own = {key: [value()] if key == "callbacks" else value for key, value in own.items()}
    return bf.train(*make(), **{**COMMON, **own, **options})


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(size, jobs, folder, each=lambda rank: {}, **more):
    """Carry out jobs in `size` processes; returns them when all have ended: (status, standard error) by rank.

    A job is a dict: the name of one of RUNS, options of `train`. More: "kill", "fail", ... of `main`. `each` gives the
    environment of a process, by default that of torchrun.
    """
    port = str(free_port())
    text = json.dumps({"jobs": jobs, "folder": str(folder), **more})
    running = []
    for rank in range(size):
        own = each(rank) or {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1"}
        environment = {**os.environ, "MASTER_PORT": port, "OMP_NUM_THREADS": "1", **own}
        command = [sys.executable, "-m", "tests.helpers.team", text]
        running.append(subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True))
    try:
        ended = [(process, process.communicate(timeout=LIMIT)[1]) for process in running]
    finally:
        for process in running:
            process.kill()
    return [(process.returncode, error) for process, error in ended]


def rank_of_this():
    return int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")))


def two_groups(links, device, settle):
    """As on GPUs, where sums have a group of their own."""
    links._devices = dist.new_group(backend="gloo")


def main(folder, jobs, kill=None, fail=None, join=False, wait=None, groups=1):
    """kill: SIGKILL for the process of this rank in that step; fail: an error of reading there.

    join: by a process group of the user; groups: 2 for one of its own for sums, as on GPUs. An error of a job is a
    line, and the next job begins.
    """
    rank = rank_of_this()
    if join:
        dist.init_process_group("gloo")
    if groups == 2:
        connection.Links.use = two_groups
    if wait is not None:
        connection.RENDEZVOUS = wait
    sums, scored, minima, steps, failed = [], [], [], 0, False
    plain_sum, plain_tallies = connection.Links.sum_, testing.tallies_of
    plain_minimum = making.inherent_structure
    own_part = shared_steps.SharedSteps._own_part

    def counted_sum(links, numbers):
        sums.append(numbers.numel())
        plain_sum(links, numbers)

    def counted_minimum(*arguments):
        minima.append(1)
        return plain_minimum(*arguments)

    def counted_tallies(model, samples, precision):
        scored.extend(sample.name for sample in samples)
        return plain_tallies(model, samples, precision)

    def part(self, batch, generator):
        nonlocal steps
        steps += 1
        if [rank, steps] == kill:
            os.kill(os.getpid(), signal.SIGKILL)
        if [rank, steps] == fail:
            raise DataError("conf_3: damaged")
        own_part(self, batch, generator)

    making.inherent_structure = counted_minimum
    connection.Links.sum_, testing.tallies_of = counted_sum, counted_tallies
    shared_steps.SharedSteps._own_part = part
    for number, job in enumerate(jobs):
        sums.clear(), scored.clear(), minima.clear()
        options = {key: value for key, value in job.items() if key != "name"}
        if options.get("seed") == "rank":
            options["seed"] = rank
        try:
            result = train(job["name"], **options)
        except BotanFastError as error:
            print(f"{type(error).__name__} elsewhere={error.elsewhere}: {error}", file=sys.stderr)
            failed = True
            continue
        kept = {"history": result.history, "weights": result.model.state_dict(), "sums": list(sums)}
        torch.save(
            {**kept, "scored": list(scored), "epoch": result.epoch, "minima": len(minima)},
            f"{folder}/{number}.{rank}.pt",
        )
    sys.exit(2 if failed else 0)


def results(folder, size, number=0):
    """What the processes have saved of a job, by rank."""
    return [torch.load(f"{folder}/{number}.{rank}.pt", weights_only=True) for rank in range(size)]


def without_time(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


def assert_one_model(saved):
    """The processes of a run have the same history and the same weights, bit for bit."""
    for other in saved[1:]:
        assert repr(other["history"]) == repr(saved[0]["history"])  # nan too
        assert_same_weights(other["weights"], saved[0]["weights"])


def assert_same_weights(a, b):
    assert sorted(a) == sorted(b)
    assert all(torch.equal(a[name], b[name]) for name in a)


def assert_equal_to_rounding(history, other, loss=1e-5, score=1e-4):
    """Losses relative to their size, scores in their own unit."""
    assert len(history) == len(other)
    for row, wanted in zip(history, other, strict=True):
        assert row.keys() == wanted.keys()
        for name in row.keys() - {"seconds"}:
            a, b = row[name], wanted[name]
            assert (a is None) == (b is None), name
            if a is not None:
                tolerance = {"atol": score, "rtol": 0} if "pearson" in name else {"rtol": loss, "atol": 0}
                np.testing.assert_allclose(a, b, **tolerance, err_msg=f"{name} of epoch {row['epoch']}")


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
