"""Cores and GPUs of a machine, divided among workers."""

import os

import pytest

from botan_fast.errors import InputError
from botan_fast.sweep.seats import cores, gpus, seats

EIGHT = [(place, core) for place in range(4) for core in (place, place + 4)]  # four cores of two halves


def cores_of(workers, of=EIGHT):
    return [seat.cores for seat in seats(workers, of=of)]


@pytest.mark.parametrize("workers", range(1, 9))
def test_every_core_has_one_worker_and_no_worker_has_two_more_than_another(workers):
    found = cores_of(workers)
    assert sorted(core for mine in found for core in mine) == list(range(8))
    assert max(map(len, found)) - min(map(len, found)) <= 1


def test_halves_of_a_core_stay_together_and_count_once():
    assert cores_of(2) == [(0, 4, 1, 5), (2, 6, 3, 7)]
    assert [seat.threads for seat in seats(2, of=EIGHT)] == [2, 2]
    assert [seat.threads for seat in seats(1, of=EIGHT)] == [4]


def test_more_workers_than_cores_share_them_with_one_thread_each():
    found = seats(5, of=[(0, 0), (1, 1)])
    assert [seat.cores for seat in found] == [(0,), (0,), (0,), (1,), (1,)]
    assert {seat.threads for seat in found} == {1}


def test_given_threads_win():
    assert [seat.threads for seat in seats(2, threads=7, of=EIGHT)] == [7, 7]


def test_cores_are_those_of_this_process():
    if hasattr(os, "sched_getaffinity"):
        assert {core for _, core in cores()} == os.sched_getaffinity(0)


def test_a_system_that_binds_no_processes():
    found = seats(2, of=[])
    assert [seat.cores for seat in found] == [(), ()]
    assert {seat.threads for seat in found} == {max(1, (os.cpu_count() or 1) // 2)}


def test_gpus_in_turn():
    visible = {"CUDA_VISIBLE_DEVICES": "3, GPU-8932f937"}
    found = seats(3, device="cuda", of=EIGHT, environment=visible)
    assert [seat.gpu for seat in found] == ["3", "GPU-8932f937", "3"]
    assert [seat.gpu for seat in seats(2, device="cpu", of=EIGHT, environment=visible)] == [None, None]


def test_gpus_by_nvidia_smi(tmp_path, monkeypatch):
    listing = (
        "GPU 0: NVIDIA H100 (UUID: GPU-1)\n  MIG 1g.10gb Device 0: (UUID: MIG-2)\nGPU 1: NVIDIA H100 (UUID: GPU-3)"
    )
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\ncat <<END\n{listing}\nEND\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert gpus({}) == ["0", "1"]


@pytest.mark.parametrize("visible", ["", "-1", " "])
def test_without_a_gpu(visible):
    with pytest.raises(InputError, match="names no GPU"):
        seats(1, device="cuda", environment={"CUDA_VISIBLE_DEVICES": visible})
