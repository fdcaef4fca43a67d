"""Tensors in, tensors out: the compiled operators and their definition in plain torch.

`import botan_fast.ops` registers every operator in the namespace `torch.ops.botan_fast`.

reference        what each operator computes, in plain torch; the oracle of the tests
sums             segment_sum, scatter_sum
padding          weights and features of other widths, with zeros
packing          pack_weights: weights of a network as the CUDA kernels read them
perceptron       mlp: encoders, decoders, the perceptrons of a step
message_passing  processor: n message-passing steps
slabs            SlabProcessor: the same on parts of a large system, one after the other
losses           loss: p times the mean over nodes, 1 - p times that over edges, with its gradient
batches          the batch of a captured training step, and its numbers for the host
history          what the backward pass of the processor needs of the forward pass
precision        fp32, tf32, bf16, auto, and which widths have kernels
door             what reaches a pointer of the core was checked here
cuda             the CUDA kernels as functions of tensors
library          how an operator is declared
"""

from . import batches, cuda, reference
from .door import check_topology
from .losses import Loss, loss, unit_gradient
from .message_passing import processor
from .packing import Packed, pack_weights, prepare_weights
from .perceptron import mlp
from .precision import (
    PRECISIONS,
    check_precision,
    check_save_memory,
    has_fast_path,
    padded_width,
    resolve_precision,
    warn_if_slow,
)
from .slabs import SlabEdges, SlabNodes, SlabProcessor, runs_in_slabs
from .sums import scatter_sum, segment_sum

__all__ = [
    "PRECISIONS",
    "Loss",
    "Packed",
    "SlabEdges",
    "SlabNodes",
    "SlabProcessor",
    "batches",
    "check_precision",
    "check_save_memory",
    "check_topology",
    "cuda",
    "has_fast_path",
    "loss",
    "mlp",
    "pack_weights",
    "padded_width",
    "prepare_weights",
    "processor",
    "reference",
    "resolve_precision",
    "runs_in_slabs",
    "scatter_sum",
    "segment_sum",
    "unit_gradient",
    "warn_if_slow",
]
