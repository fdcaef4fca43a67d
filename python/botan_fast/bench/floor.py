"""The work that no implementation of the network in float32 avoids: arithmetic and memory traffic.

2 FLOPs for each multiply-add of a matrix product; 4 bytes for each number that has to be read or written once. For a
GPU, whose kernels are bound by memory, the arrays that they move are counted (`gpu_bytes`).
"""

from collections.abc import Mapping

__all__ = [
    "edge_steps",
    "forward_flops",
    "gpu_bytes",
    "gpu_floor",
    "processor_forward_flops",
    "training_bytes",
    "training_flops",
]


def forward_flops(nodes: int, edges: int, hidden: int = 64, steps: int = 7, dimensions: int = 3) -> int:
    """FLOPs of a forward pass of the split-weight model.

    A step costs 2 H^2 multiply-adds per edge (e, the hidden layer) and 5 H^2 per node (the tables of senders and of
    receivers, x, the sum, the hidden layer). The constant parts (e0, x0), encoders and decoders are needed once.

    >>> from botan_fast.bench.floor import forward_flops
    >>> forward_flops(1, 1, hidden=1, steps=1, dimensions=1)
    38
    """
    square = hidden**2
    per_edge = steps * 2 * square + square
    per_edge += dimensions * hidden + square  # encoder
    per_edge += 2 * square + hidden  # decoder
    per_node = steps * 5 * square + square
    per_node += hidden + square
    per_node += 2 * square + hidden
    return 2 * (edges * per_edge + nodes * per_node)


def processor_forward_flops(nodes: int, edges: int, hidden: int = 64, steps: int = 7) -> int:
    """The message-passing steps alone, of `forward_flops`.

    >>> from botan_fast.bench.floor import processor_forward_flops
    >>> processor_forward_flops(1, 1, hidden=1, steps=1)
    18
    """
    square = hidden**2
    return 2 * (edges * (2 * steps + 1) * square + nodes * (5 * steps + 1) * square)


def training_flops(nodes: int, edges: int, hidden: int = 64, steps: int = 7, dimensions: int = 3) -> int:
    """FLOPs of forward and backward: every product has two more in the backward pass, for its input and its weight.

    The inputs of the encoders need no gradient. What a backward pass recomputes to save memory is not counted.

    >>> from botan_fast.bench.floor import training_flops
    >>> training_flops(1, 1, hidden=1, steps=1, dimensions=1)
    110
    """
    without = 2 * hidden * (edges * dimensions + nodes)
    return 3 * forward_flops(nodes, edges, hidden, steps, dimensions) - without


def training_bytes(edges: int, hidden: int = 64, steps: int = 7) -> int:
    """Traffic of (E, H) float32 arrays that no training step avoids which keeps e of each step.

    Each step reads e and writes e; its backward pass reads e and the gradient of e, and writes the latter. Node arrays
    stay in caches.

    >>> from botan_fast.bench.floor import training_bytes
    >>> training_bytes(1, hidden=1, steps=1)
    20
    """
    return 5 * 4 * edges * hidden * steps


def gpu_bytes(edges: int, train: bool, precision: str, hidden: int = 64, steps: int = 7) -> int:
    """Traffic of (E, H) arrays between the CUDA kernels of a network (docs/kernels.md); node arrays stay in caches.

    Forward: e0 out; e0 in, c out, in bf16 e0 rounded out; c in n times, e in n and out n - 1 times, e_out out; e_out
    in. Backward: e_out in, its gradient out and in; c and e in, dz out n times, dz in n - 1 and gathered n times, dc
    out (n + 1) / 2 and in (n - 1) / 2 times; dc and e0 in; dc and dz in, the gradient of e0 out; that in. e, c and dz
    are as wide as they are stored, the others are float32.

    >>> from botan_fast.bench.floor import gpu_bytes
    >>> gpu_bytes(1, False, "fp32") // (4 * 64), gpu_bytes(1, True, "bf16") / (4 * 64)
    (25, 47.5)
    """
    bf16 = precision == "bf16"
    in_float32, stored = 4, 3 * steps + (1 if bf16 else 0)
    if train:
        in_float32, stored = in_float32 + 8 + steps, stored + 5 * steps
    return edges * hidden * (4 * in_float32 + (2 if bf16 else 4) * stored)


def gpu_floor(ceilings: Mapping[str, float], num_bytes: float, flops: float, precision: str | None) -> float:
    """max(bytes / bandwidth, operations / rate) in seconds, over the ceilings that `Clock.ceilings` measured.

    fp32 may be done by float32 units or by three tf32 products, so the faster of the two is its ceiling.

    >>> from botan_fast.bench.floor import gpu_floor
    >>> gpu_floor({"copy": 4e12, "float32": 5e13, "tf32": 3e14, "bf16": 6e14}, 4e9, 3e11, "fp32")
    0.003
    """
    rates = {"fp32": max(ceilings["float32"], ceilings["tf32"] / 3), "tf32": ceilings["tf32"], "bf16": ceilings["bf16"]}
    return max(num_bytes / ceilings["copy"], flops / rates[precision or "fp32"])


def edge_steps(edges: int, steps: int = 7) -> int:
    """Edges times message-passing steps: the work by which times of other sizes and depths are compared.

    >>> from botan_fast.bench.floor import edge_steps
    >>> edge_steps(166_484)
    1165388
    """
    return edges * steps
