"""What is queued on a CUDA device: copies, captured graphs, and marks to wait for or to ask about.

Nothing here waits but `Mark.wait`. All that training asks of CUDA besides its operators goes through this class, so
that tests can put another one in its place.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["DeviceQueue", "Mark"]


class Mark:
    """A place in a queue."""

    def __init__(self, stream: torch.cuda.Stream) -> None:
        self.event = torch.cuda.Event()
        self.event.record(stream)

    def done(self) -> bool:
        """Has the device passed it?"""
        return self.event.query()

    def wait(self) -> None:
        """Return when the device has passed it."""
        self.event.synchronize()


class DeviceQueue:
    """Torch's current stream of a device; or, as `side` makes it, a stream of its own for copies.

    >>> import torch
    >>> from botan_fast.training.device_queue import DeviceQueue
    >>> if torch.cuda.is_available():
    ...     queue, there = DeviceQueue(torch.device("cuda")), torch.empty(3, device="cuda")
    ...     queue.copy(there, queue.pinned((3,), torch.float32).fill_(2))
    ...     queue.mark().wait()
    ...     assert there.tolist() == [2, 2, 2]
    """

    def __init__(self, device: torch.device, stream: torch.cuda.Stream | None = None) -> None:
        self.device = device
        self._stream = torch.cuda.current_stream(device) if stream is None else stream
        self._beside: torch.cuda.Stream | None = None
        self._pool: Any = None
        self._capturing: torch.cuda.Stream | None = None

    def side(self) -> "DeviceQueue":
        return DeviceQueue(self.device, torch.cuda.Stream(self.device))

    def free_bytes(self) -> int:
        """Memory that torch could take: what the device has free, and what torch's allocator keeps unused."""
        unused = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return torch.cuda.mem_get_info(self.device)[0] + unused

    def pinned(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Host memory that the device can copy from and to by itself."""
        return torch.empty(shape, dtype=dtype, pin_memory=True, device="cpu")

    def copy(self, target: Tensor, source: Tensor) -> None:
        with torch.cuda.stream(self._stream):
            target.copy_(source, non_blocking=True)

    def mark(self) -> Mark:
        return Mark(self._stream)

    def wait_for(self, mark: Mark) -> None:
        """What is queued here from now on comes after `mark`, of another queue. The host does not wait."""
        self._stream.wait_event(mark.event)

    def warm_up(self, step: Callable[[], None]) -> None:
        """Run the step once beside the queue, as CUDA wants it before a capture: libraries and kernels are loaded."""
        if self._beside is None:
            self._beside = torch.cuda.Stream(self.device)
        self._beside.wait_stream(self._stream)
        with torch.cuda.stream(self._beside):
            step()
        self._stream.wait_stream(self._beside)

    def capture(self, step: Callable[[], None]) -> Any:
        """A CUDA graph of the step, which does not run. All graphs of this queue share their memory."""
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
            self._capturing = torch.cuda.Stream(self.device)  # one for all: memory is shared by those of one stream
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(self.device):
            before = torch.cuda.current_stream(self.device)
            try:
                with torch.cuda.graph(graph, pool=self._pool, stream=self._capturing):
                    step()
            finally:
                torch.cuda.set_stream(before)  # torch leaves its own in place where the end of a capture fails
        return graph

    def replay(self, graph: Any) -> None:
        with torch.cuda.stream(self._stream):
            graph.replay()
