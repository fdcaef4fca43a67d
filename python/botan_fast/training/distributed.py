"""This process among those that train one model together, over torch.distributed.

A process alone is a `Team` of one, whose methods call what they are given and nothing else. Several are a `Processes`.
What one of them cannot do ends all, with one error: what may fail runs inside of `agreed`, `first` or `shared`, after
which they tell each other. Nobody speaks with the others on the way out, so no way out can wait for somebody who is
gone: connections that close are what tells them.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from ..device import Device, choose_device
from ..errors import BotanFastError, BotanFastWarning, CheckpointError, DataError, InputError, TrainingError
from ..interruption import orderly
from ..processes import Place, find_place
from . import connection

__all__ = ["ALONE", "LostProcess", "Processes", "Team", "check_batches", "joined", "share_of"]

T = TypeVar("T")
_KNOWN = (InputError, DataError, CheckpointError, TrainingError)  # what an error is that another process had
LostProcess = connection.LostProcess


class Team:
    """A process alone; and what several have in common.

    rank     number of this process, counted from 0; process 0 alone writes and speaks
    size     how many there are

    >>> from botan_fast.training.distributed import Team
    >>> team = Team()
    >>> team.first(lambda: 3), team.shared([1, 2], lambda own: [2 * x for x in own])
    (3, [2, 4])
    """

    rank, size = 0, 1

    def first(self, function: Callable[[], T]) -> T:
        """What the function gives on process 0, which alone calls it; its error is everybody's."""
        return function()

    def shared(self, items: Sequence[Any], function: Callable[[list[Any]], list[Any]]) -> list[Any]:
        """`function(items)`, one result for each, computed in parts. On process 0; the others get []."""
        return function(list(items))

    def agreed(self) -> contextlib.AbstractContextManager[None]:
        """A block in which each process works for itself: the error of one, of the lowest rank, is everybody's."""
        return contextlib.nullcontext()

    def settle(self, error: Exception | None) -> None:
        """Raise everywhere what one had to raise; nothing where nobody had."""
        if error is not None:
            raise error

    def sum_(self, numbers: Tensor) -> None:
        """Sum of a tensor over the processes, in place: the same bits everywhere."""

    def check_equal(self, digest: Callable[[], str], what: str) -> None:
        """TrainingError unless all processes have the same digest of `what`."""

    def check_together(self, description: dict[str, Any]) -> None:
        """InputError unless all processes were given the same arguments and read the same data."""


ALONE = Team()


class Processes(Team):
    """Process `rank` of `size` on `device`: see `Team`."""

    def __init__(self, links: connection.Links) -> None:
        self._links, self.rank, self.size = links, links.rank, links.size

    def first(self, function: Callable[[], T]) -> T:
        result, error = None, None
        if self.rank == 0:
            try:
                result = function()
            except Exception as failed:
                error = failed
        told = self._links.broadcast((result, _description(error)))
        if told[1] is not None:
            self._raise(0, told[1], error)
        return told[0] if self.rank else result  # type: ignore[return-value]  # process 0 keeps the object itself

    def shared(self, items: Sequence[Any], function: Callable[[list[Any]], list[Any]]) -> list[Any]:
        own: list[Any] = []
        with self.agreed():
            own = function(list(items[self.rank :: self.size]))
        parts = self._links.gather_first(own)
        return [parts[k % self.size][k // self.size] for k in range(len(items))] if self.rank == 0 else []

    @contextlib.contextmanager
    def agreed(self) -> Iterator[None]:
        error = None
        try:
            yield
        except LostProcess:
            raise
        except Exception as failed:
            error = failed
        self.settle(error)

    def settle(self, error: Exception | None) -> None:
        told = self._links.gather(_description(error))
        for rank, description in enumerate(told):
            if description is not None:
                self._raise(rank, description, error)

    def sum_(self, numbers: Tensor) -> None:
        self._links.sum_(numbers)

    def check_equal(self, digest: Callable[[], str], what: str) -> None:
        values = self._links.gather(digest())
        other = next((rank for rank, one in enumerate(values) if one != values[0]), None)
        if other is not None:
            error = TrainingError(
                f"{what} of process {other} differ from those of process 0: their processors round differently; use "
                "machines of one kind, or set ATEN_CPU_CAPABILITY=default and BOTAN_FAST_SIMD=generic on all"
            )
            self._raise(0, _told(error), error)

    def check_together(self, description: dict[str, Any]) -> None:
        everywhere = self._links.gather(_compared(description))
        for rank, other in enumerate(everywhere):
            difference = _first_difference(everywhere[0], other)
            if difference is not None:
                name, first, here = difference
                error = InputError(
                    f"{name} = {first} in process 0 and {here} in process {rank}, which train one model together: give "
                    f"all {self.size} the same arguments and data; for models of their own start each process by "
                    "itself (under srun: srun --ntasks=1, or unset SLURM_STEP_NUM_TASKS)"
                )
                self._raise(0, _told(error), error)

    def _raise(self, rank: int, description: tuple[str, str], own: Exception | None) -> None:
        """The error of process `rank`, of which that one alone says a word (`BotanFastError.elsewhere`)."""
        error = own if own is not None else _rebuilt(rank, description)
        error.elsewhere = self.rank != rank  # type: ignore[attr-defined]  # of others than ours, too
        raise error


@contextlib.contextmanager
def joined(device: Device) -> Iterator[tuple[Team, torch.device]]:
    """The team of this process, and the device that it computes on.

    Processes that somebody else has joined in a process group of torch.distributed are a team; else those that torchrun
    or srun has started together (`find_place`). On CUDA each has the GPU of its local rank.

    Raises
    ------
    InputError
        The variables are there in part; the others do not come; there is no GPU for each.
    """
    place = None if connection.is_joined() else find_place()
    if place is None and not connection.is_joined():
        yield ALONE, choose_device(device)
        return
    links = connection.connect(place)
    team = Processes(links)
    with contextlib.ExitStack() as stack:
        stack.callback(links.leave)  # unless all of them leave with one mind, see below
        stack.enter_context(orderly())
        try:
            if team.rank:
                stack.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore", BotanFastWarning)
            chosen = _device(team, links, device, place)
            yield team, chosen
            links.stay()
        except BotanFastError as error:
            if "elsewhere" in vars(error):
                links.stay()
            else:
                error.elsewhere = team.rank > 0  # the same in all of them, or of a process that is gone
            raise


def check_batches(batch_size: int, processes: int) -> None:
    """InputError where a batch has fewer graphs than there are processes."""
    if batch_size < processes:
        raise InputError(
            f"batch_size = {batch_size} is that of all {processes} processes together, so some would have no graph; "
            f"give batch_size = {processes} or more, or start fewer processes"
        )


def share_of(count: int, rank: int, size: int) -> range:
    """The places in a batch of `count` graphs that process `rank` of `size` has: numbers that differ by one at most.

    >>> from botan_fast.training.distributed import share_of
    >>> [list(share_of(5, rank, 3)) for rank in range(3)]
    [[0], [1, 2], [3, 4]]
    """
    return range(count * rank // size, count * (rank + 1) // size)


def _device(team: Processes, links: connection.Links, asked: Device, place: Place | None) -> torch.device:
    """The device of this process, and the connection for what lies there."""
    with team.agreed():
        device = choose_device(asked)
        if device.type == "cuda":
            device = connection.own_gpu(device, place)
    links.use(device, settle=team.agreed)
    return device


def _compared(description: dict[str, Any]) -> dict[str, Any]:
    """What is the same in all processes: without paths, and without targets, whose last bits depend on the machine."""
    init = description["init"]
    kept = {name: description.get(name) for name in ("output", "settings", "model", "box", "density", "times")}
    kept["init"] = init and init["sha256"]
    parts = {name: description.get(name) or {} for name in ("train", "test", "validation")}
    return kept | {name: {key: part.get(key) for key in ("names", "sha256")} for name, part in parts.items()}


def _description(error: Exception | None) -> tuple[str, str] | None:
    return None if error is None else _told(error)


def _told(error: Exception) -> tuple[str, str]:
    """The kind of an error and what it says."""
    kind = next((kind.__name__ for kind in _KNOWN if isinstance(error, kind)), "")
    return (kind, str(error)) if kind else ("", f"{type(error).__name__}: {error}" if str(error) else repr(error))


def _rebuilt(rank: int, description: tuple[str, str]) -> BotanFastError:
    name, text = description
    for kind in _KNOWN:
        if kind.__name__ == name:
            return kind(text)
    return TrainingError(f"process {rank} has failed: {text}")


def _first_difference(one: Any, other: Any, name: str = "") -> tuple[str, str, str] | None:
    """The name of the first entry in which two descriptions of a run differ, and both of its values, short."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys([*one, *other]):
            found = _first_difference(
                one.get(key), other.get(key), str(key) if name in ("", "settings", "model") else name
            )
            if found is not None:
                return found
        return None
    if one == other:
        return None
    first, second = (text if len(text := repr(value)) < 60 else f"{text[:57]}..." for value in (one, other))
    return name, first, second
