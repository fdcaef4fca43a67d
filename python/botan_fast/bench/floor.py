"""The work that no implementation of the network in float32 avoids: arithmetic and memory traffic.

2 FLOPs for each multiply-add of a matrix product; 4 bytes for each number that has to be read or written once.
"""

__all__ = ["forward_flops", "processor_forward_flops", "training_bytes", "training_flops"]


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
