"""The batch of a captured step and its record through the host emulation, against their definition in plain torch."""

import math

import pytest
import torch

import botan_fast as bf
from botan_fast.errors import InputError
from botan_fast.graph.rotation import random_orthogonal
from botan_fast.ops import batches, cuda
from botan_fast.ops.batches import BatchArrays, BatchChoice, BatchSource
from tests.helpers.graph_checks import random_positions

NUMBERS = (3, 2)  # columns of the numbers, and those of them with noise


def graphs(dimensions, sizes=(60, 41, 97)):
    boxes = [[4.5] * dimensions for _ in sizes]
    made = [
        bf.build_graph(random_positions(n, box, dimensions, seed), torch.arange(n) % 3, box)
        for seed, (n, box) in enumerate(zip(sizes, boxes, strict=True))
    ]
    generator = torch.Generator().manual_seed(0)
    return [g.replace(inherent_vectors=torch.randn(g.vectors.shape, generator=generator)) for g in made]


def source_of(made, inherent, targets):
    generator = torch.Generator().manual_seed(1)
    nodes, edges = (sum(getattr(g, name) for g in made) for name in ("num_nodes", "num_edges"))
    dimensions = made[0].vectors.shape[1]
    return BatchSource(
        torch.cat([g.types for g in made]),
        torch.cat([g.row_ptr[:-1] for g in made]),
        torch.randn(nodes, NUMBERS[0], generator=generator),
        *(torch.cat([getattr(g, name) for g in made]) for name in ("senders", "receivers", "reverse", "vectors")),
        torch.cat([g.inherent_vectors for g in made]) if inherent else torch.empty(0, dimensions),
        torch.randn(edges, targets, generator=generator),
    )


def choice_of(made, numbers, slots, noise=NUMBERS[1]):
    """The configurations `numbers` in this order, in places for `slots` of them."""
    generator = torch.Generator().manual_seed(2)
    starts = [(sum(g.num_nodes for g in made[:k]), sum(g.num_edges for g in made[:k])) for k in range(len(made))]
    rows, node, edge = [], 0, 0
    for k in numbers:
        rows.append((*starts[k], node, edge))
        node, edge = node + made[k].num_nodes, edge + made[k].num_edges
    rows += [(0, 0, node, edge)] * (slots + 1 - len(rows))
    dimensions = made[0].vectors.shape[1]
    rotations = torch.stack([random_orthogonal(dimensions, generator) for _ in range(slots)])
    return BatchChoice(torch.tensor(rows), rotations, torch.randn(node, noise, generator=generator), torch.rand(noise))


def arrays_for(source, nodes, room):
    def filled(like, rows):
        """Between two rows that nobody may touch."""
        shape = ((rows if len(like) else 0) + 2, *like.shape[1:])
        return torch.full(shape, -7, dtype=like.dtype)[1:-1]

    return BatchArrays(
        filled(source.types, nodes),
        filled(source.row_begin, nodes + 1),
        filled(source.numbers, nodes),
        *(filled(getattr(source, name), room) for name in BatchSource._fields[3:]),
        torch.full((2,), -7),
    )


def same(a, b):
    return a.dtype == b.dtype and a.numpy().tobytes() == b.numpy().tobytes()


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(("inherent", "targets"), [(False, 1), (True, 0), (True, 3)])
@pytest.mark.parametrize(("chosen", "slots"), [((2,), 1), ((1, 1, 0), 3), ((2, 0), 4)])
def test_bits_of_the_definition(emulator, dimensions, inherent, targets, chosen, slots):
    made = graphs(dimensions)
    source, choice = source_of(made, inherent, targets), choice_of(made, chosen, slots)
    nodes, edges = choice.places[-1, 2:].tolist()
    for room in (edges, edges + 300):
        got, want = (arrays_for(source, nodes, room) for _ in range(2))
        batches.load_batch(source, choice, want)
        cuda.load_batch(emulator, source, choice, got)
        for name, a, b in zip(BatchArrays._fields, got, want, strict=True):
            assert same(a, b), name
            if name != "status":
                assert (a._base[[0, -1]] == -7).all(), name


def test_the_batch_is_that_of_batch_graphs():
    """The definition against the graphs themselves, turned one by one and joined."""
    made = graphs(3)
    source, choice = source_of(made, True, 2), choice_of(made, (2, 0), 2)
    nodes, edges = choice.places[-1, 2:].tolist()
    batch = arrays_for(source, nodes, edges + 9)
    batches.load_batch(source, choice, batch)
    turned = [made[k].rotate(r) for k, r in zip((2, 0), choice.rotations, strict=True)]
    want = bf.batch_graphs([g.replace(box=None) for g in turned])
    for name in ("types", "row_ptr", "senders", "receivers", "reverse"):
        got = getattr(batch, name)
        assert torch.equal(got[:edges] if name not in ("types", "row_ptr") else got, getattr(want, name)), name
    for name in ("vectors", "inherent_vectors"):
        torch.testing.assert_close(getattr(batch, name)[:edges], getattr(want, name), rtol=1e-6, atol=1e-6)
    first = [sum(g.num_nodes for g in made[:k]) for k in (2, 0)]
    numbers = torch.cat([source.numbers[at : at + made[k].num_nodes] for at, k in zip(first, (2, 0), strict=True)])
    assert torch.equal(batch.numbers[:, :1], numbers[:, :1])
    assert torch.equal(batch.numbers[:, 1:], numbers[:, 1:] + choice.noise * choice.noise_widths)
    assert batch.status.tolist() == [edges, 0]
    assert not batch.vectors[edges:].any()
    assert batch.edge_targets[edges:].isnan().all()
    assert batch.reverse[edges:].tolist() == list(range(edges, edges + 9))


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        (3, 10**6, "the edges of the batch fit its room"),
        (2, 61, "the batch has as many particles as its arrays"),
    ],
)
def test_a_batch_that_does_not_fit_stops_the_kernel(emulator, column, value, text):
    made = graphs(3)
    source, choice = source_of(made, False, 1), choice_of(made, (0,), 1)
    batch = arrays_for(source, 60, made[0].num_edges)
    choice.places[-1, column] = value
    with pytest.raises(RuntimeError, match=text):
        cuda.load_batch(emulator, source, choice, batch)
    with pytest.raises(InputError, match="places name"):
        batches.load_batch(source, choice, batch)


@pytest.mark.parametrize("column", [0, 1])
def test_a_place_outside_of_the_source_stops_the_kernel(emulator, column):
    made = graphs(3)
    source, choice = source_of(made, False, 1), choice_of(made, (0,), 1)
    choice.places[0, column] = 10**6
    with pytest.raises(RuntimeError, match=r"places name (particles|edges) of the configurations"):
        cuda.load_batch(emulator, source, choice, arrays_for(source, 60, made[0].num_edges))


@pytest.mark.parametrize(
    ("part", "name", "change"),
    [
        ("source", "types", lambda t: t.int()),
        ("source", "numbers", lambda t: t.double()),
        ("source", "receivers", lambda t: t[1:]),
        ("choice", "rotations", lambda t: t.mT),
        ("choice", "noise", lambda t: t[1:]),
        ("batch", "row_ptr", lambda t: t[1:]),
        ("batch", "edge_targets", lambda t: t.to("meta")),
    ],
)
def test_what_is_refused(part, name, change):
    made = graphs(3)
    source, choice = source_of(made, False, 1), choice_of(made, (0,), 1)
    parts = {"source": source, "choice": choice, "batch": arrays_for(source, 60, made[0].num_edges)}
    parts[part] = parts[part]._replace(**{name: change(getattr(parts[part], name))})
    with pytest.raises(InputError, match=rf"{part}\.{name} is .*; it must be a dense"):
        batches._check(**parts)


@pytest.mark.parametrize("sizes", [(0, 5, 3, 2, 0, 1), (5, -1, 3, 2, 0, 1), (5, 5, 4, 2, 0, 1), (5, 5, 3, 2, 3, 1)])
def test_sizes_that_are_refused(emulator, sizes):
    with pytest.raises(ValueError, match=r"load_batch: \w+ = -?\d+; it must be \d+ to"):
        emulator.load_batch(0, 0, [64] * 9, (9, 9), [64] * 4, 1, [64] * 10, sizes)


def results_of(batches=3):
    return [torch.zeros(batches, 4), torch.full((), 5.0), torch.full((), 5.0), torch.tensor([41])]


@pytest.mark.parametrize("clip_norm", [1e-3, 1.0, 1e30])
@pytest.mark.parametrize("count", [1, 37])
def test_norm_and_scale(emulator, count, clip_norm):
    """Against float64 and what torch does, and bit for bit the definition."""
    norms = torch.rand(count, generator=torch.Generator().manual_seed(count)) * 3
    losses, place = [torch.tensor(x) for x in (0.5, 0.25, 2.0)], torch.tensor([2])
    got, want = results_of(), results_of()
    batches._record_on_device(emulator, losses, norms, clip_norm, place, got)
    batches._record(losses, norms, clip_norm, place, want)
    for a, b in zip(got, want, strict=True):
        assert same(a, b)
    norm = norms.double().square().sum().sqrt()
    assert got[0][2].tolist() == [0.5, 0.25, 2.0, pytest.approx(float(norm), rel=1e-7)]
    weights = torch.ones(count, requires_grad=True)
    weights.grad = norms.clone()
    torch.nn.utils.clip_grad_norm_([weights], clip_norm)
    torch.testing.assert_close(norms / got[2], weights.grad, rtol=1e-6, atol=0)
    assert not got[0][:2].any()
    assert (got[1], got[3]) == (0, 42)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 3e38])
@pytest.mark.parametrize("place", range(5))
def test_what_is_not_finite_is_flagged(emulator, bad, place):
    """Also norms that are finite one by one, and not together."""
    numbers = torch.tensor([0.5, 0.25, 2.0, 3e38, 1.0])
    numbers[place] = bad
    got, want = results_of(), results_of()
    for results, function in ((got, lambda *a: cuda.record_step(emulator, *a)), (want, batches._record)):
        function(list(numbers[:3].clone().unbind()), numbers[3:].clone(), 1.0, torch.tensor([0]), results)
    for a, b in zip(got, want, strict=True):
        assert same(a.nan_to_num(nan=-1), b.nan_to_num(nan=-1))
    assert got[1] == (not numbers.isfinite().all() or (place == 4 and bad == 3e38))


@pytest.mark.parametrize("batch", [-1, 3])
def test_a_batch_without_a_row_stops_the_kernel(emulator, batch):
    losses = [torch.tensor(1.0)] * 3
    with pytest.raises(RuntimeError, match="the batch has a row of the record"):
        cuda.record_step(emulator, losses, torch.ones(2), 1.0, torch.tensor([batch]), results_of())


def test_a_record_that_is_refused(emulator):
    for batches_, clip_norm, text in (
        (0, 1.0, "num_batches = 0"),
        (3, 0.0, r"clip_norm = 0\.0+"),
        (3, math.nan, "clip_norm"),
    ):
        with pytest.raises(ValueError, match=f"record_step: {text}.*must be positive"):
            emulator.record_step(0, 0, [64] * 4, 2, clip_norm, 64, batches_, [64] * 4)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"losses": [torch.tensor(1.0)] * 2}, "losses holds 2 tensors"),
        ({"losses": [torch.tensor(1.0), torch.tensor(1.0), torch.tensor(1)]}, r"losses\[2\] is torch.int64"),
        ({"norms": torch.ones(4)[::2]}, r"norms is torch.float32 of shape \(2,\) on cpu; it must be a dense"),
        ({"batch": torch.tensor(0)}, r"batch is torch.int64 of shape \(\)"),
        ({"results": [torch.zeros(4, 3).T, *results_of()[1:]]}, r"results.record is .* must be a dense"),
        ({"results": [*results_of()[:3], torch.zeros(1)]}, r"results.steps is torch.float32"),
        (
            {"results": [*results_of()[:2], torch.zeros((), device="meta"), torch.tensor([0])]},
            "gradient_scale is .* meta",
        ),
    ],
)
def test_what_a_step_refuses(emulator, change, text):
    given = {"losses": [torch.tensor(1.0)] * 3, "norms": torch.ones(2), "batch": torch.tensor([0])}
    given |= {"results": results_of(), **change}
    order = [given["losses"], given["norms"], 1.0, given["batch"], given["results"]]
    for function in (batches._record, lambda *a: batches._record_on_device(emulator, *a)):
        with pytest.raises(InputError, match=text):
            function(*order)
