"""S and E on CUDA: runs that lie on the device, or are streamed to it from host memory, around the kernels of
csrc/cuda/geometry/targets.cu.

`kernels` is `botan_fast.device.CUDA_KERNELS`, or in tests the host emulation, which takes CPU tensors.
"""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..arrays import Array
from ..device import DTYPES, stream_of
from ..graph.graph import Graph

__all__ = ["CHUNK_BYTES", "propensity_and_change"]

CHUNK_BYTES = 64 << 20  # of one part of the runs: two of them are on the device at a time


def propensity_and_change(
    kernels: ModuleType,
    initial: Tensor,
    trajectories: Array,
    graph: Graph,
    cell: np.ndarray,
    chunk_bytes: int | None = None,
) -> tuple[Tensor, Tensor, list[int]]:
    """Propensity (N,), pair change (E,) and status [a position is not finite, the graph is of other positions].

    `initial` (N, D) float64 and the tensors of `graph` lie on one device; `cell` (D, D) is reduced. `trajectories`
    (R, N, D), float32 or float64, is a tensor there or an array in host memory, memory-mapped too: then the runs pass
    in parts of about `chunk_bytes` (CHUNK_BYTES) through pinned memory, and the copy of one part
    overlaps the work on the part before. The bits do not depend on the parts. Waits for the device once, at the end.

    >>> import numpy as np, torch
    >>> from botan_fast.physics.targets_cuda import parts
    >>> [(first, len(part)) for first, part in parts(np.zeros((5, 2, 3)), torch.device("cpu"), chunk_bytes=96)]
    [(0, 2), (2, 2), (4, 1)]
    """
    (num_nodes, dimensions), device = initial.shape, initial.device
    vectors = graph.vectors.detach().to(torch.float32)
    tensors = [x.contiguous() for x in (graph.senders, graph.receivers, graph.reverse, vectors)]
    stream, cell = stream_of(initial), np.ascontiguousarray(cell)
    given = kernels.TargetInput(
        initial.data_ptr(), num_nodes, graph.num_edges, dimensions, cell.ctypes.data, *(x.data_ptr() for x in tensors)
    )
    sums = [torch.empty(number, dtype=torch.float64, device=device) for number in (num_nodes, graph.num_edges)]
    propensity, change = (torch.empty(len(x), dtype=torch.float32, device=device) for x in sums)
    status = torch.zeros(2, dtype=torch.int32, device=device)
    for first, part in parts(trajectories, device, chunk_bytes or CHUNK_BYTES):
        getattr(kernels, f"targets_accumulate_{DTYPES[part.dtype]}")(
            *stream, given, part.data_ptr(), len(part), first == 0, *(x.data_ptr() for x in sums), status.data_ptr()
        )
    kernels.targets_finish(
        *stream, given, len(trajectories), *(x.data_ptr() for x in sums), propensity.data_ptr(), change.data_ptr(),
        status.data_ptr(),
    )  # fmt: skip
    return propensity, change, status.tolist()


def parts(trajectories: Array, device: torch.device, chunk_bytes: int) -> Iterator[tuple[int, Tensor]]:
    """Pairs (index of the first run, runs on the device), in order; each part is usable until the next is asked for."""
    if isinstance(trajectories, Tensor) and trajectories.device == device and device.type == "cuda":
        yield 0, trajectories.contiguous()
        return
    if isinstance(trajectories, Tensor):
        trajectories = trajectories.numpy()
    size = max(1, int(chunk_bytes // max(1, trajectories[0].nbytes)))
    dtype = torch.float32 if trajectories.dtype == np.float32 else torch.float64
    shape = (min(size, len(trajectories)), *trajectories.shape[1:])
    pinned = device.type == "cuda"
    host = [torch.empty(shape, dtype=dtype, pin_memory=pinned) for _ in range(2)]
    there = [torch.empty(shape, dtype=dtype, device=device) for _ in range(2)] if pinned else host
    # Any, not a Stream or None: nobody asks for them unless `pinned`.
    main: Any = torch.cuda.current_stream(device) if pinned else None
    side: Any = torch.cuda.Stream(device) if pinned else None
    copied = [torch.cuda.Event() for _ in range(2)] if pinned else []
    used = [torch.cuda.Event() for _ in range(2)] if pinned else []
    if pinned:
        side.wait_stream(main)  # the buffers may be memory that the main stream still works on

    def send(number: int) -> Tensor:
        """Starts the copy of part `number` into its one of the two buffers."""
        runs = trajectories[number * size : (number + 1) * size]
        slot = number % 2
        if pinned:
            copied[slot].synchronize()  # the pinned buffer is free when its last copy has ended
        np.copyto(host[slot][: len(runs)].numpy(), runs)
        if pinned:
            side.wait_event(used[slot])
            with torch.cuda.stream(side):
                there[slot][: len(runs)].copy_(host[slot][: len(runs)], non_blocking=True)
                copied[slot].record(side)
        return there[slot][: len(runs)]

    number_of_parts = -(-len(trajectories) // size)
    part = send(0)
    for number in range(number_of_parts):
        if pinned:
            main.wait_event(copied[number % 2])
        yield number * size, part
        if pinned:
            used[number % 2].record(main)
        if number + 1 < number_of_parts:
            part = send(number + 1)
    if pinned:
        for event in copied:
            event.synchronize()  # pinned buffers live until their copies have ended
        main.wait_stream(side)
