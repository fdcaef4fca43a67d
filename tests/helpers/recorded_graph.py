"""A stand-in for CUDA graphs and streams on the CPU, harder than the real ones.

Capturing records the operations that a function queues, with their tensors by reference; a replay runs exactly these
onto the same memory. So whatever the host put into a step at its capture stays as it was: step size, rotation, number
of edges. What a capture forbids is refused: reading a number on the host, making a tensor of host data, drawing random
numbers. What the operations made at the capture is spoilt afterwards, and what they changed is put back, as nothing
runs on a device while it is captured.

Queued work runs as late as it may: when somebody waits for a mark behind it (or as early as it may, in a queue for
copies). So pinned memory that is written again too soon, or read before somebody waited, gives wrong numbers.
"""

import random
from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

FORBIDDEN = {
    "aten::_local_scalar_dense": "reads a number on the host",
    "aten::is_nonzero": "reads a number on the host",
    "aten::equal": "reads a number on the host",
    "aten::nonzero": "has a result whose size the host must know",
    "aten::masked_select": "has a result whose size the host must know",
    "aten::unique_dim": "has a result whose size the host must know",
    "aten::_unique2": "has a result whose size the host must know",
    "aten::lift_fresh": "makes a tensor of host data",
    "aten::lift_fresh_copy": "makes a tensor of host data",
    "aten::randn": "draws random numbers of the host",
    "aten::rand": "draws random numbers of the host",
    "aten::randperm": "draws random numbers of the host",
    "aten::bernoulli": "draws random numbers of the host",
}


class HostAccess(AssertionError):
    """A captured operation that would wait for the device, or bake in what the host has."""


def key_of(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def written_by(func, args, kwargs) -> list[Tensor]:
    """The tensors among the arguments that the schema says are changed."""
    found = []
    for place, argument in enumerate(func._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            value = args[place] if place < len(args) else kwargs.get(argument.name)
            found += [t for t in tree_flatten(value)[0] if isinstance(t, Tensor)]
    return found


class RecordedGraph(TorchDispatchMode):
    """The operations of `step`, to be replayed."""

    def __init__(self, step: Callable[[], None]):
        super().__init__()
        self.operations = []
        self.external: dict[int, Tensor] = {}  # memory that was there before, which a replay reads or writes
        self.made: dict[int, Tensor] = {}
        self.changed: list[tuple[Tensor, Tensor]] = []
        self.replays = 0
        with self:
            step()
        with torch.no_grad():
            for tensor in self.made.values():
                spoil(tensor)
            for tensor, value in self.changed:
                tensor.copy_(value)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = func._schema.name
        if name.startswith("profiler::"):
            return func(*args, **kwargs)
        if name in FORBIDDEN:
            raise HostAccess(f"{name} {FORBIDDEN[name]}")
        if name in ("aten::index", "aten::index_put_") and any(
            t is not None and t.dtype == torch.bool for t in args[1]
        ):
            raise HostAccess(f"{name} by a mask has a result whose size the host must know")
        for tensor in tree_flatten((args, kwargs))[0]:
            if isinstance(tensor, Tensor) and key_of(tensor) not in self.made:
                self.external.setdefault(key_of(tensor), tensor.detach())
        for tensor in written_by(func, args, kwargs):
            if key_of(tensor) not in self.made and all(key_of(t) != key_of(tensor) for t, _ in self.changed):
                whole = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())
                self.changed.append((whole, whole.clone()))
        result = func(*args, **kwargs)
        outputs = [t for t in tree_flatten(result)[0] if isinstance(t, Tensor)]
        for tensor in outputs:
            if key_of(tensor) not in self.external:
                self.made.setdefault(key_of(tensor), tensor.detach())
        aliases = [r.alias_info is not None for r in func._schema.returns]
        if not outputs or not all(aliases) or written_by(func, args, kwargs):
            keep = tree_map_only(Tensor, lambda t: t.detach(), (args, kwargs, result))
            self.operations.append((func, *keep))
        return result

    @property
    def names(self) -> list[str]:
        return [func._schema.name for func, *_ in self.operations]

    @torch.no_grad()
    def replay(self):
        self.replays += 1
        for func, args, kwargs, result in self.operations:
            again = func(*args, **kwargs)
            for target, value in zip(tree_flatten(result)[0], tree_flatten(again)[0], strict=True):
                if isinstance(target, Tensor) and target.data_ptr() != value.data_ptr():
                    target.copy_(value)


def spoil(tensor: Tensor):
    """Numbers that nobody can take for right."""
    whole = torch.empty(0, dtype=tensor.dtype).set_(tensor.untyped_storage())
    whole.fill_(torch.nan if tensor.is_floating_point() else -1 if tensor.dtype != torch.bool else True)


class RecordedMark:
    def __init__(self, queue, place):
        self.queue, self.place = queue, place

    def done(self):
        """Time may have passed, or not."""
        if self.queue.chance.random() < 0.3:
            self.queue.run_until(self.place)
        return self.queue.executed >= self.place

    def wait(self):
        self.queue.waits += self.queue.executed < self.place
        self.queue.run_until(self.place)


class RecordedQueue:
    """`botan_fast.training.device_queue.DeviceQueue` without a device."""

    free = 1 << 40  # bytes
    side_is_early = False
    made: list["RecordedQueue"] = []  # noqa: RUF012 (of the class: a test looks at them)

    def __init__(self, device, early=False):
        self.device, self.early = device, early
        self.pending, self.executed, self.waits = [], 0, 0
        self.graphs: list[RecordedGraph] = []
        self.chance = random.Random(0)
        RecordedQueue.made.append(self)

    def side(self):
        return RecordedQueue(self.device, early=self.side_is_early)

    def free_bytes(self):
        return self.free

    def pinned(self, shape, dtype):
        tensor = torch.empty(shape, dtype=dtype)
        spoil(tensor)
        return tensor

    def run_until(self, place):
        while self.executed < place:
            self.executed += 1
            self.pending.pop(0)()

    def _queued(self, work):
        self.pending.append(work)
        if self.early:
            self.run_until(self.executed + len(self.pending))

    def copy(self, target, source):
        assert target.shape == source.shape
        assert target.dtype == source.dtype
        self._queued(lambda: target.copy_(source))

    def mark(self):
        return RecordedMark(self, self.executed + len(self.pending))

    def wait_for(self, mark):
        self._queued(lambda: mark.queue.run_until(mark.place))

    def warm_up(self, step):
        self.run_until(self.executed + len(self.pending))
        step()

    def capture(self, step):
        self.run_until(self.executed + len(self.pending))
        self.graphs.append(RecordedGraph(step))
        return self.graphs[-1]

    def replay(self, graph):
        self._queued(graph.replay)


class PromptQueue(RecordedQueue):
    """All work at once, as between two operations that one stream has in order."""

    def __init__(self, device, early=True):
        super().__init__(device, early=True)


def stand_in(monkeypatch, queue=RecordedQueue):
    """Training on the CPU takes the way of CUDA, with `queue` for its device."""
    from botan_fast.training import engine, learner

    RecordedQueue.made.clear()
    for module in (engine, learner):
        monkeypatch.setattr(module, "works_on_device", lambda device: True)
    monkeypatch.setattr(engine, "DeviceQueue", queue)
