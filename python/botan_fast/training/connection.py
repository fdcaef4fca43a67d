"""The wires of `distributed`: process groups of torch.distributed, and what goes through them.

What Python holds (errors, states of a run, scores) goes through a group of gloo, between the hosts; gradients on a GPU
through one of NCCL. Objects are pickled from one process of a run to another of the same run, and from nobody else.
"""

import atexit
import contextlib
import os
import re
import socket
import threading
from collections.abc import Callable
from datetime import timedelta
from time import monotonic, sleep
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from ..errors import InputError, TrainingError
from ..interruption import deferred
from ..processes import Place
from ..terminal import say

__all__ = ["Links", "LostProcess", "connect", "is_joined", "own_gpu"]

RENDEZVOUS = 300.0  # seconds in which all processes have to come
WORD_AFTER = 20.0  # seconds after which process 0 says that it waits
SILENCE = 1800.0  # seconds in which a process has to answer; one that has ended is noticed at once
# Of a signal to all processes another one may have heard first, and be gone: this one then ends by the signal too, with
# its status and, in a job that can be requeued, into the queue.
GRACE = 2.0  # seconds
_made_here = False  # the process group is ours, and goes with this process


class LostProcess(TrainingError):
    """Another process of the run has ended, or does not answer."""


def is_joined() -> bool:
    """Is there a process group of torch.distributed in this process, of several?"""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def connect(place: Place | None) -> "Links":
    """The connections of this process: of the process group that there is, or of one at `place`."""
    if not is_joined():
        assert place is not None  # one of the two there is
        if not dist.is_available():
            raise InputError(
                f"WORLD_SIZE = {place.size}, but torch {torch.__version__} has no torch.distributed; install a build "
                "of torch with it, or start one process"
            )
        _join(place)
    try:
        return Links(dist.new_group(backend="gloo", timeout=timedelta(seconds=SILENCE)))
    except RuntimeError as error:
        raise LostProcess(_lost(dist.get_rank(), dist.get_world_size(), error)) from error


def _join(place: Place) -> None:
    """Meet the other processes. In a thread, so that Ctrl-C is heard meanwhile."""
    global _made_here
    # torchrun has a store of its own at that address, of which "env://" knows.
    method = "env://" if place.launcher == "torchrun" else f"tcp://{place.address}:{place.port}"
    failed: list[BaseException] = []

    def meet() -> None:
        try:
            dist.init_process_group(
                "gloo",
                init_method=method,
                rank=place.rank,
                world_size=place.size,
                timeout=timedelta(seconds=RENDEZVOUS),
            )
        except BaseException as error:
            failed.append(error)

    thread, start, said = threading.Thread(target=meet, daemon=True), monotonic(), False
    thread.start()
    while thread.is_alive():
        thread.join(0.5 if said else 0.05)
        if not said and place.rank == 0 and monotonic() - start > WORD_AFTER:
            said = True
            say(f"waiting for the other processes of {place.size}, at {place.address}, port {place.port}")
    if failed:
        reason = " ".join((str(failed[0]) or type(failed[0]).__name__).split())[:200]
        names = ("WORLD_SIZE", "MASTER_ADDR") if place.launcher == "torchrun" else ("SLURM_STEP_NUM_TASKS", "node")
        raise InputError(
            f"process {place.rank} of {names[0]} = {place.size} has not met the others at {names[1]} = "
            f"{place.address}, port {place.port} within {RENDEZVOUS:g} s: start all {place.size} at once, and see that "
            f"the port is free and can be reached ({reason})"
        ) from failed[0]
    _made_here = True
    atexit.register(_part)


def _part() -> None:
    """Close the process group that `_join` made. Says nothing to the others."""
    global _made_here
    if _made_here and is_joined():
        with contextlib.suppress(Exception):
            dist.destroy_process_group()
    _made_here = False


class Links:
    """What goes from process to process, every call made by all of them in the same order.

    LostProcess where one of them has ended.
    """

    def __init__(self, hosts: Any) -> None:
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self._hosts: Any = hosts
        self._devices: Any = None  # the group of NCCL
        self._here = torch.zeros(1, device="cpu")
        self._stays = False

    def use(self, device: torch.device, settle: Callable[[], contextlib.AbstractContextManager[None]]) -> None:
        """From now on sums are of tensors on `device`. InputError where two processes have one GPU."""
        kinds = self.gather((device.type, _gpu_name(device)))
        with settle():
            if len({kind for kind, _ in kinds}) > 1:
                where = ", ".join(f"{kind} in process {rank}" for rank, (kind, _) in enumerate(kinds))
                raise InputError(f"device = {where}; give device= the same for all, such as 'cpu'")
            twins = [rank for rank, one in enumerate(kinds) if one in kinds[:rank]]
            if device.type == "cuda" and twins:
                other = kinds.index(kinds[twins[0]])
                raise InputError(
                    f"device = 'cuda': processes {other} and {twins[0]} have the same GPU; start as many processes on "
                    "each machine as it has GPUs (--nproc-per-node, --gpus-per-task=1)"
                )
            if device.type == "cuda" and not dist.is_nccl_available():
                raise InputError(
                    f"device = 'cuda', but torch {torch.__version__} has no NCCL for several; give device='cpu'"
                )
        if device.type == "cuda":
            timeout = timedelta(seconds=SILENCE)
            self._devices = self._say(lambda: dist.new_group(backend="nccl", timeout=timeout))

    def broadcast(self, value: Any) -> Any:
        """The value of process 0."""
        held = [value]
        cpu = torch.device("cpu")
        self._say(lambda: dist.broadcast_object_list(held, src=0, group=self._hosts, device=cpu))
        return held[0]

    def gather(self, value: Any) -> list[Any]:
        """The values of all, by rank."""
        values = [None] * self.size
        self._say(lambda: dist.all_gather_object(values, value, group=self._hosts))
        return values

    def gather_first(self, value: Any) -> list[Any]:
        """The values of all on process 0; [] on the others."""
        values = [None] * self.size if self.rank == 0 else None
        self._say(lambda: dist.gather_object(value, values, dst=0, group=self._hosts))
        return values or []

    def sum_(self, numbers: Tensor) -> None:
        """Sum over the processes, in place.

        On GPUs nothing tells that a process does not come, so that first all meet on the hosts, where it is noticed.
        Who has come there stays until the sum is made, whatever signal arrives meanwhile.
        """
        if self._devices is None:
            self._say(lambda: dist.all_reduce(numbers, group=self._hosts))
            return
        with deferred():
            self._say(lambda: dist.all_reduce(self._here, group=self._hosts))
            self._say(lambda: dist.all_reduce(numbers, group=self._devices))
            if numbers.is_cuda:
                torch.cuda.current_stream(numbers.device).synchronize()

    def stay(self) -> None:
        """All leave the run in order: the process group stays for their next one."""
        self._stays = True

    def leave(self) -> None:
        """Close what is ours. Where not all leave in order the others find their connections closed."""
        group, self._hosts = self._hosts, None
        with contextlib.suppress(Exception):
            if self._devices is None:  # NCCL might wait for what nobody finishes; it ends with the process
                dist.destroy_process_group(group)
        del group
        if not self._stays and self._devices is None:
            _part()

    def _say(self, function: Callable[[], Any]) -> Any:
        try:
            return function()
        except RuntimeError as error:  # as are all errors of torch.distributed
            sleep(GRACE)
            raise LostProcess(_lost(self.rank, self.size, error)) from error


def _lost(rank: int, size: int, error: RuntimeError) -> str:
    reason = re.sub(r"^\[[^\]]*\] *", "", " ".join(str(error).split()))  # without the place in the source of gloo
    return (
        f"process {rank} of {size}: another process of this run has ended or does not answer ("
        f"{reason.split('. ')[0][:100]}); continue with resume=True (--resume)"
    )


def own_gpu(device: torch.device, place: Place | None) -> torch.device:
    """The GPU of this process: that of its local rank, or the only one that it sees."""
    if device.index is not None:
        raise InputError(f"device = '{device}' is one GPU for several processes; give device='cuda'")
    count = torch.cuda.device_count()
    local = place.local_rank if place is not None else None
    if place is None:  # whoever made the process group has chosen, unless torchrun did
        text = os.environ.get("LOCAL_RANK", "")
        local = int(text) if text.isdecimal() else torch.cuda.current_device()
    if local is None and count > 1:
        raise InputError(f"LOCAL_RANK is not set, and there are {count} GPUs; start the processes by torchrun or srun")
    index = 0 if count == 1 or local is None else local
    if index >= count:
        raise InputError(
            f"LOCAL_RANK = {index}, but torch finds {count} CUDA devices here; start {count} processes on this machine "
            f"(--nproc-per-node {count})"
        )
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def _gpu_name(device: torch.device) -> str:
    """What tells this GPU from all others."""
    if device.type != "cuda":
        return ""
    uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    # An index alone says nothing: where each task is shown one GPU, that has the number 0 in all of them.
    return str(uuid) if uuid is not None else f"{socket.gethostname()} {os.getpid()}"
