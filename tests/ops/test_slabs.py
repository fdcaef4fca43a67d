"""SlabProcessor: steps of `processor` on sets of nodes, in any order that has what it needs; and its refusals."""

import pytest
import torch

from botan_fast import ops
from botan_fast.errors import InputError
from tests.helpers.random_graphs import random_mlp, random_topology

HIDDEN = 32


def case(skip=False, nodes=40, edges=300):
    g = torch.Generator().manual_seed(0)
    topology = random_topology(nodes, edges, g)
    weights = [*random_mlp((6 if skip else 4) * HIDDEN, HIDDEN, g), *random_mlp(3 * HIDDEN, HIDDEN, g)]
    return torch.randn(nodes, HIDDEN, generator=g), torch.randn(edges, HIDDEN, generator=g), topology, weights


@pytest.mark.parametrize("precision", ["fp32", "bf16", "tf32"])
@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("steps", [1, 4])
def test_two_slabs_are_the_processor(steps, skip, precision):
    """Of a directed graph with edges between any two nodes: both slabs take a step before either takes the next."""
    x0, e0, topology, weights = case(skip)
    senders, receivers, row_ptr, _, _ = topology
    with torch.no_grad():
        x, e = ops.processor(None, None, x0, e0, topology, weights[:4], weights[4:], steps, precision)
    processor = ops.SlabProcessor(weights, precision)
    tables = [torch.empty(40, HIDDEN) for _ in range(steps)]
    parts = [slice(0, 13), slice(13, 40)]
    nodes, edges = [], []
    for part in parts:
        rows = slice(int(row_ptr[part.start]), int(row_ptr[part.stop]))
        nodes.append(processor.nodes(x0[part].clone(), tables[0][part]))
        own = row_ptr[part.start : part.stop + 1] - row_ptr[part.start]
        edges.append(processor.edges(senders[rows], receivers[rows] - part.start, own, e0[rows].clone(), 40))
    for step in range(steps):
        following = [None] * 2 if step + 1 == steps else [tables[step + 1][part] for part in parts]
        both = zip(nodes, edges, following, strict=True)
        found = [processor.step(node, edge, tables[step], table) for node, edge, table in both]
    assert torch.equal(torch.cat([part.x for part in nodes]), x)
    assert torch.equal(torch.cat(found), e)


def test_when():
    cpu = torch.device("cpu")
    assert not ops.runs_in_slabs(64, torch.float32, cpu)
    with torch.no_grad():
        assert ops.runs_in_slabs(64, torch.float32, cpu)
        assert ops.runs_in_slabs(20, torch.float32, cpu)
        assert not ops.runs_in_slabs(129, torch.float32, cpu)
        assert not ops.runs_in_slabs(64, torch.float64, cpu)
        assert not ops.runs_in_slabs(64, torch.float32, torch.device("meta"))
        assert not torch.func.vmap(lambda x: x + ops.runs_in_slabs(64, torch.float32, cpu))(torch.zeros(1)).any()


def test_what_does_not_fit_is_refused():
    x0, e0, (senders, receivers, row_ptr, _, _), weights = case()
    processor = ops.SlabProcessor(weights)
    table = torch.empty(40, HIDDEN)
    nodes = processor.nodes(x0, table)
    edges = processor.edges(senders, receivers, row_ptr, e0, 40)
    with pytest.raises(InputError, match="senders holds 39, outside"):
        processor.edges(senders, receivers, row_ptr, e0, 39)
    with pytest.raises(InputError, match=r"receivers is torch\.int64"):
        processor.edges(senders, receivers.long(), row_ptr, e0, 40)
    with pytest.raises(InputError, match="row_ptr goes from 0 to 300"):
        processor.edges(senders[1:], receivers[1:], row_ptr, e0[1:], 40)
    with pytest.raises(InputError, match="p_sender has shape"):
        processor.nodes(x0, table[1:])
    with pytest.raises(InputError, match="constants has shape"):
        processor.nodes(x0, table, torch.empty(7))
    with pytest.raises(InputError, match="p_sender has shape"):
        processor.step(nodes, edges, table[:30])
    with pytest.raises(InputError, match="nodes are 39 and edges those of 40"):
        processor.step(processor.nodes(x0[1:], table[1:]), edges, table)
    with pytest.raises(InputError, match="e0 has shape"):
        processor.edges(senders, receivers, row_ptr, e0[:, :16], 40)
    with pytest.raises(InputError, match="next_p_sender is not contiguous"):
        processor.step(nodes, edges, table, torch.empty(HIDDEN, 40).T)
    with pytest.raises(InputError, match="hidden_size = 20, which has no kernels"):
        ops.SlabProcessor([torch.ones(20, 80)])
    with pytest.raises(InputError, match="precision = 'fp8'"):
        ops.SlabProcessor(weights, "fp8")
