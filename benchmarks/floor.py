"""The arithmetic that no implementation in float32 avoids: 2 FLOPs for each multiply-add of a matrix product."""


def forward_flops(nodes: int, edges: int, hidden: int = 64, steps: int = 7, dimensions: int = 3) -> int:
    """FLOPs of a forward pass of the split-weight model.

    A step costs 2 H^2 multiply-adds per edge (e, the hidden layer) and 5 H^2 per node (the tables of senders and of
    receivers, x, the sum, the hidden layer). The constant parts (e0, x0), encoders and decoders are needed once.
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
    """The message-passing steps alone, of `forward_flops`."""
    square = hidden**2
    return 2 * (edges * (2 * steps + 1) * square + nodes * (5 * steps + 1) * square)


def training_flops(nodes: int, edges: int, hidden: int = 64, steps: int = 7, dimensions: int = 3) -> int:
    """FLOPs of forward and backward: every product has two more in the backward pass, for its input and its weight.

    The inputs of the encoders need no gradient. What a backward pass recomputes to save memory is not counted.
    """
    without = 2 * hidden * (edges * dimensions + nodes)
    return 3 * forward_flops(nodes, edges, hidden, steps, dimensions) - without
